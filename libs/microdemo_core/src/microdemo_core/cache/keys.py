"""Keys from templates such as ``users:user:{user_id}``; two different calls never get the same key."""

import string
from collections.abc import Mapping
from datetime import date
from typing import Final
from urllib.parse import quote
from uuid import UUID

import msgspec

__all__ = ("KeyTemplate", "format_key")

_SEPARATOR: Final = ":"


def format_key(template: str, /, **values: object) -> str:
    """A key, or a namespace, by hand: ``format_key("orders:user:{user_id}", user_id=7)``."""
    return KeyTemplate(template).format(values)


class KeyTemplate:
    """Raises: ValueError, for anything but plain ``{names}`` with a colon between any two of them."""

    __slots__ = ("_parts", "names", "template")

    def __init__(self, template: str) -> None:
        self.template = template
        self._parts = list(string.Formatter().parse(template))
        for index, (literal, name, spec, conversion) in enumerate(self._parts):
            if name is not None and (spec or conversion or not name.isidentifier()):
                raise ValueError(f"{template!r}: only plain names may stand in braces")
            # Values are quoted, so a colon cannot come out of one; without it {a}{b} mixes up 1,23 and 12,3.
            if index and name is not None and _SEPARATOR not in literal:
                raise ValueError(f"{template!r}: a colon must stand between two values")
        self.names = frozenset(name for _, name, _, _ in self._parts if name is not None)

    def format(self, values: Mapping[str, object]) -> str:
        return "".join(
            literal if name is None else literal + _text(values[name]) for literal, name, _, _ in self._parts
        )


def _text(value: object) -> str:
    match value:
        case str():
            # quote() lets the tilde through, which marks what is not text.
            return quote(value, safe="").replace("~", "%7E")
        case None:
            return "~null"
        case bool():
            return "~true" if value else "~false"
        case int() | UUID():
            return str(value)
        case date():  # a datetime too
            return quote(value.isoformat(), safe="")
        case msgspec.Struct():  # such as a page and its filters
            return "~" + quote(msgspec.json.encode(value), safe="").replace("~", "%7E")
    raise TypeError(f"a {type(value).__name__} cannot be part of a cache key")
