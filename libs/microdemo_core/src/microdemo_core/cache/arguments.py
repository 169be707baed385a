"""The arguments of one call, by name, as the key's template wants them."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args, get_type_hints

__all__ = ("Arguments",)

_PLAIN = inspect.Parameter.POSITIONAL_OR_KEYWORD


class Arguments:
    """Of ``function``, its first one left out.

    Raises:
        TypeError: When keys made of ``keyed`` would mix up two different calls, or cannot be made at all.
    """

    __slots__ = ("_names", "_signature")

    def __init__(self, function: Callable[..., Any], keyed: Collection[str], ignore: Collection[str]) -> None:
        whole = inspect.signature(function)
        self._signature = whole.replace(parameters=list(whole.parameters.values())[1:])
        parameters = self._signature.parameters
        named = function.__qualname__
        if unknown := {*keyed, *ignore} - set(parameters):
            raise TypeError(f"{named} has no argument {', '.join(sorted(unknown))}")
        if unkeyed := set(parameters) - {*keyed, *ignore}:
            raise TypeError(
                f"{named}: {', '.join(sorted(unkeyed))} is in no key, so different calls would share an answer; "
                "where it makes no difference, say so with ignore="
            )
        hints = get_type_hints(function)
        for name in keyed:
            if parameters[name].kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
                raise TypeError(f"{named}: *{name} cannot be part of a key")
            if {int, str} <= set(get_args(hints.get(name))):
                raise TypeError(f"{named}: 7 and '7' are two values of {name}, but one key")
        # Binding takes 4 µs, and almost every call is this plain.
        self._names = tuple(parameters) if all(p.kind is _PLAIN for p in parameters.values()) else None

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
        """Raises: TypeError, as the call itself would."""
        if not kwargs and self._names is not None and len(args) == len(self._names):
            return dict(zip(self._names, args, strict=True))
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments
