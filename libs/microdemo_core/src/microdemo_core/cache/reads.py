"""``@cached``: a method whose answers are kept, by a key made from its arguments."""

import functools
import random
from collections.abc import Callable, Collection, Coroutine
from typing import (
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    cast,
    get_args,
    get_type_hints,
    overload,
)

import msgspec

from microdemo_core.cache.arguments import Arguments
from microdemo_core.cache.keys import KeyTemplate
from microdemo_core.cache.store import NULL, Cache, Loaded

__all__ = ("BoundRead", "CachedRead", "HasCache", "cached")


class HasCache(Protocol):
    """What a cached read's first argument must have; usually it is the ``self`` of a repository."""

    @property
    def cache(self) -> Cache: ...


S = TypeVar("S", bound=HasCache)
P = ParamSpec("P")
T = TypeVar("T")
# bytes, or bytes | None where there may be nothing
B = TypeVar("B")


class _Policy(msgspec.Struct, frozen=True):
    ttl_seconds: float
    negative_ttl_seconds: float | None
    jitter: float

    def ttl_of(self, payload: bytes) -> float:
        seconds = self.negative_ttl_seconds or 0 if payload == NULL else self.ttl_seconds
        return seconds * random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 - jitter, not a secret


class CachedRead(Generic[S, P, T, B]):
    """The decorated function. As a method it is called as before; ``encoded`` and ``key`` are its extras.

    An answer is always the decoded JSON, on a miss too, so that a hit is never the first to show a difference.
    """

    def __init__(
        self,
        function: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
        key: KeyTemplate,
        namespace: KeyTemplate | None,
        policy: _Policy,
        ignore: Collection[str],
    ) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._key = key
        self._namespace = namespace
        self._policy = policy
        self._arguments = Arguments(function, key.names | (namespace.names if namespace else set()), ignore)
        returned = get_type_hints(function, include_extras=True)["return"]
        if (type(None) in get_args(returned)) != (policy.negative_ttl_seconds is not None):
            raise TypeError(
                f"{function.__qualname__}: negative_ttl_seconds is for reads that return ... | None, and 0 "
                "there means that None is not kept"
            )
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(returned)

    @overload
    def __get__(self, source: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, source: S, owner: type[object] | None = None) -> "BoundRead[P, T, B]": ...
    def __get__(self, source: S | None, owner: type[object] | None = None) -> "Self | BoundRead[P, T, B]":
        return self if source is None else BoundRead(self, source)

    async def __call__(self, source: S, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return self._decoder.decode(await self._read(source, *args, **kwargs))
        except msgspec.DecodeError:
            # Another version of the code wrote it, or nobody did.
            await source.cache.delete(self.key(*args, **kwargs))
        return self._decoder.decode(await self._read(source, *args, **kwargs))

    async def encoded(self, source: S, *args: P.args, **kwargs: P.kwargs) -> B:
        """The JSON as it lies in Redis, for a handler that sends just that; None where the read returns None."""
        payload = await self._read(source, *args, **kwargs)
        return cast("B", None if payload == NULL else payload)

    async def _read(self, source: S, *args: P.args, **kwargs: P.kwargs) -> bytes:
        async def load() -> Loaded:
            payload = msgspec.json.encode(await self._function(source, *args, **kwargs))
            return Loaded(payload, self._policy.ttl_of(payload))

        values = self._arguments.bind(args, kwargs)
        return await source.cache.read(
            self._key.format(values),
            load,
            namespaces=(self._namespace.format(values),) if self._namespace else (),
            label=self._key.template,
        )

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key that these arguments are kept under, to invalidate it."""
        return self._key.format(self._arguments.bind(args, kwargs))


class BoundRead(Generic[P, T, B]):
    """A cached read of one object: ``repository.get``."""

    __slots__ = ("_read", "_source")

    def __init__(self, read: CachedRead[Any, P, T, B], source: HasCache) -> None:
        self._read: CachedRead[Any, P, T, B] = read
        self._source = source

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._read(self._source, *args, **kwargs)

    async def encoded(self, *args: P.args, **kwargs: P.kwargs) -> B:
        return await self._read.encoded(self._source, *args, **kwargs)

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        return self._read.key(*args, **kwargs)


class _Always(Protocol):
    def __call__(
        self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, T]], /
    ) -> CachedRead[S, P, T, bytes]: ...


class _Sometimes(Protocol):
    def __call__(
        self, function: Callable[Concatenate[S, P], Coroutine[Any, Any, T]], /
    ) -> CachedRead[S, P, T, bytes | None]: ...


@overload
def cached(
    key: str, *, ttl_seconds: float, namespace: str | None = None, jitter: float = 0.2, ignore: Collection[str] = ()
) -> _Always: ...
@overload
def cached(
    key: str,
    *,
    ttl_seconds: float,
    negative_ttl_seconds: float,
    namespace: str | None = None,
    jitter: float = 0.2,
    ignore: Collection[str] = (),
) -> _Sometimes: ...
def cached(
    key: str,
    *,
    ttl_seconds: float,
    negative_ttl_seconds: float | None = None,
    namespace: str | None = None,
    jitter: float = 0.2,
    ignore: Collection[str] = (),
) -> Callable[[Callable[Concatenate[Any, ...], Coroutine[Any, Any, Any]]], CachedRead[Any, ..., Any, Any]]:
    """Keeps an async method's answers in its object's ``cache`` (or a function's, in its first argument's).

    Args:
        key: Template over the arguments, ``users:user:{user_id}``; every argument must be in it, or in ``namespace``.
        ttl_seconds: How stale an answer can get if its invalidation is lost.
        negative_ttl_seconds: The same for None; 0 to ask again each time. Required if the read may return None.
        namespace: Template of what is bumped to forget many entries at once: all pages of one list.
        jitter: The share by which lives differ, so that what was filled together does not end together.
        ignore: Arguments that make no difference to the answer.

    Raises:
        TypeError: At import, for keys that could mix up two calls and types that JSON cannot hold.
        ValueError: At import, for a malformed template.
    """

    def decorate(
        function: Callable[Concatenate[Any, ...], Coroutine[Any, Any, Any]],
    ) -> CachedRead[Any, ..., Any, Any]:
        policy = _Policy(ttl_seconds, negative_ttl_seconds, jitter)
        return CachedRead(function, KeyTemplate(key), KeyTemplate(namespace) if namespace else None, policy, ignore)

    return decorate
