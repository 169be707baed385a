"""The one place where Redis is read, filled and told to forget."""

import asyncio
import math
import uuid
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any, Final, Literal, NamedTuple

import msgspec
from prometheus_client import Counter
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from microdemo_core.breaker import Breaker, BreakerOpen
from microdemo_core.cache.flights import SingleFlight
from microdemo_core.cache.scripts import FILL, LEASE, stamp_of

__all__ = ("NULL", "Cache", "Loaded", "connect")

NULL: Final = b"null"

_REQUESTS: Final = Counter("microdemo_cache_requests_total", "Cached reads.", ["read", "outcome"])
_INVALIDATIONS: Final = Counter("microdemo_cache_invalidations_total", "Invalidations sent, or owed.", ["outcome"])

# Longer than a load takes. When it ends too early, the value is merely not stored.
_LEASE_MS: Final = 3_000
# Longer than any entry lives; see LEASE for what happens when it ends.
_NAMESPACE_SECONDS: Final = 86_400
_MOST_OWED: Final = 10_000

# bypass: Redis was not asked; error: it gave no proper answer; failed: the source did not.
_Outcome = Literal["hit", "negative", "miss", "shared", "bypass", "error", "failed"]


class Loaded(msgspec.Struct, frozen=True):
    """What the source said, encoded, and for how long it may be kept: 0 for not at all."""

    payload: bytes
    ttl_seconds: float


class _Debt(NamedTuple):
    """An invalidation that did not get through."""

    kind: Literal["key", "namespace"]
    name: str


class _AwayError(Exception):
    def __init__(self, outcome: Literal["bypass", "error"]) -> None:
        self.outcome: Final = outcome


def connect(url: str, *, timeout_seconds: float, max_connections: int = 32) -> Redis:
    """A client without redis-py's ten retries and 5 s, whose exchanges are bounded by ``Cache._ask`` alone.

    With ``socket_timeout`` redis-py sends under ``asyncio.wait_for``, and that loses cancellations before Python
    3.12: a request's deadline that strikes just then would never be heard of again.
    A connection that the server has closed is noticed, and replaced, when it is taken from the pool.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=timeout_seconds,
        socket_timeout=None,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        # RESP3 and the driver's name cost a new connection two more round trips within its 50 ms.
        protocol=2,
        driver_info=None,
    )
    return Redis.from_pool(pool)


class Cache:
    """Fails open: no method raises because of Redis.

    Args:
        redis: A URL, or a client whose timeouts and retries are the caller's affair; ``aclose`` closes either.
        service: For metrics and log lines.
        timeout_seconds: The most that one exchange with Redis may take, waiting for a connection included.
        open_seconds: How long Redis is left alone after 5 failures in a row.
    """

    def __init__(
        self, redis: str | Redis, *, service: str, timeout_seconds: float = 0.05, open_seconds: float = 0.5
    ) -> None:
        self._redis = connect(redis, timeout_seconds=timeout_seconds) if isinstance(redis, str) else redis
        self._timeout_seconds = timeout_seconds
        self._breaker = Breaker(f"cache:{service}", open_seconds=open_seconds)
        self._flights = SingleFlight[bytes]()
        self._lease, self._fill = self._redis.register_script(LEASE), self._redis.register_script(FILL)
        self._process = uuid.uuid4().hex
        self._turn = 0
        # The oldest first; the value tells one owing from the next.
        self._owed: dict[_Debt, object] = {}

    async def read(
        self, key: str, load: Callable[[], Awaitable[Loaded]], *, namespaces: Collection[str] = (), label: str
    ) -> bytes:
        """The entry's JSON, from Redis or from ``load``, whose errors pass through and leave nothing behind."""
        outcome: _Outcome = "failed"

        async def read_through() -> bytes:
            nonlocal outcome
            payload, outcome = await self._read_through(key, load, list(namespaces))
            return payload

        try:
            payload, is_shared = await self._flights.run(key, read_through)
            if is_shared:
                outcome = "shared"
        finally:
            _REQUESTS.labels(label, outcome).inc()
        return payload

    async def _read_through(
        self, key: str, load: Callable[[], Awaitable[Loaded]], namespaces: list[str]
    ) -> tuple[bytes, _Outcome]:
        try:
            if self._owed:
                # Until they are paid, this process cannot trust what it would read.
                await self._forget((), ())
            entry, *versions = await self._ask(self._redis.mget, key, *namespaces)
            stamp = stamp_of(versions)
            if entry is None or stamp is None or not entry.startswith(stamp):
                self._turn += 1
                lease = f"L{self._process}:{self._turn}".encode()
                arguments = [lease, _LEASE_MS, uuid.uuid4().hex, _NAMESPACE_SECONDS, self._process]
                entry, stamp = await self._ask(self._lease, [key, *namespaces], arguments)
        except _AwayError as away:
            return (await load()).payload, away.outcome
        if entry is not None and stamp is not None:
            payload = entry[len(stamp) :]
            return payload, "negative" if payload == NULL else "hit"
        loaded = await load()
        if stamp is not None and loaded.ttl_seconds > 0:
            milliseconds = math.ceil(loaded.ttl_seconds * 1000)
            # Failing is noted by the breaker, and the value is good all the same.
            with suppress(_AwayError):
                await self._ask(self._fill, [key], [lease, stamp + loaded.payload, milliseconds])
        return loaded.payload, "miss"

    async def delete(self, *keys: str) -> None:
        await self.invalidate(keys)

    async def bump(self, *namespaces: str) -> None:
        await self.invalidate((), namespaces)

    async def invalidate(self, keys: Collection[str], namespaces: Collection[str] = ()) -> None:
        """Forgets entries, and all that was filled in a namespace. To be called after the commit.

        What does not get through is owed: until it is paid, this process reads from the source.
        """
        if not keys and not namespaces:
            return
        outcome = "owed"
        try:
            await self._forget(keys, namespaces)
            outcome = "sent"
        except _AwayError:
            pass
        finally:  # a cancelled caller has committed too
            _INVALIDATIONS.labels(outcome).inc()
            if outcome == "owed":
                self._owe(keys, namespaces)

    def _owe(self, keys: Collection[str], namespaces: Collection[str]) -> None:
        self._owed |= {_Debt("key", key): object() for key in keys}
        self._owed |= {_Debt("namespace", name): object() for name in namespaces}
        for oldest in list(self._owed)[: max(0, len(self._owed) - _MOST_OWED)]:
            del self._owed[oldest]  # its TTL is the bound then

    async def _forget(self, keys: Collection[str], namespaces: Collection[str]) -> None:
        """Sends these and whatever is owed, in one exchange."""
        bill = dict(self._owed)
        keys = [*keys, *(debt.name for debt in bill if debt.kind == "key")]
        namespaces = [*namespaces, *(debt.name for debt in bill if debt.kind == "namespace")]
        pipeline = self._redis.pipeline(transaction=False)
        if keys:
            pipeline.unlink(*keys)
        for name in namespaces:
            pipeline.set(name, uuid.uuid4().hex, ex=_NAMESPACE_SECONDS)
        await self._ask(pipeline.execute)
        for debt, written in bill.items():
            if self._owed.get(debt) is written:  # and not owed anew since
                del self._owed[debt]

    async def _ask(self, command: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """One exchange with Redis, bounded as a whole: redis-py's timeouts hold for each read and connect."""
        try:
            with self._breaker.attempt() as attempt:
                try:
                    async with asyncio.timeout(self._timeout_seconds):
                        answer = await command(*arguments, **options)
                except (RedisError, OSError, TimeoutError):
                    attempt.failed()
                    raise _AwayError("error") from None
                attempt.succeeded()
                return answer
        except BreakerOpen:
            raise _AwayError("bypass") from None

    async def ping(self) -> bool:
        """Whether Redis answers; False without asking while the breaker is open."""
        try:
            await self._ask(self._redis.ping)
        except _AwayError:
            return False
        return True

    async def aclose(self) -> None:
        await self._redis.aclose(close_connection_pool=True)
