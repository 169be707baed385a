"""One client per peer: what is sent along, how long it may take, when it is tried again, when not at all."""

import asyncio
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self, TypedDict, TypeVar, Unpack

import msgspec
import structlog
from prometheus_client import Counter, Histogram

from microdemo_core import correlation
from microdemo_core import deadline as deadlines
from microdemo_core.breaker import Breaker, BreakerOpen
from microdemo_core.clients.errors import PeerFailed, PeerProblem, PeerUnavailable, Reason
from microdemo_core.clients.reply import Reply, retry_after_seconds
from microdemo_core.clients.retries import RetryBudget, backoff_seconds
from microdemo_core.clients.transport import Call, Transport

__all__ = ("Peer", "RequestOptions")

T = TypeVar("T")

_log = structlog.get_logger("microdemo.clients")

_CALLS: Final = Counter("microdemo_peer_requests_total", "Calls to a peer, retries not counted.", ["peer", "outcome"])
_RETRIES: Final = Counter("microdemo_peer_retries_total", "Second attempts.", ["peer"])
_SECONDS: Final = Histogram("microdemo_peer_request_seconds", "Whole calls, retries included.", ["peer"])

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_RETRIED: Final[frozenset[Reason]] = frozenset({"refused", "dropped", "overloaded"})
_OVERLOADED: Final = frozenset({502, 503, 504})

# Of the caller's own time a fifth, at most this, is kept back for what it does after a peer has failed it.
_KEPT_BACK_SECONDS: Final = 0.05


class RequestOptions(TypedDict, total=False):
    """``json`` is anything msgspec encodes; ``token`` a bearer token; ``idempotent`` lets a POST be retried."""

    json: Any
    params: Mapping[str, str | int]
    token: str | None
    headers: Mapping[str, str]
    idempotent: bool


class Peer:
    """Another service. Closed by ``aclose``; usable again afterwards, from another event loop too.

    Args:
        name: As a person would call it: it is in error messages, metrics and log lines.
        base_url: Scheme and host, no trailing slash.
        timeout_seconds: For the whole call, its retry included. The current deadline can only shorten it.
        breaker_open_seconds: How long calls are refused after 5 failures in a row.
        max_connections: Calls beyond wait for a free one, within their time.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        timeout_seconds: float,
        breaker_open_seconds: float = 5.0,
        max_connections: int = 100,
    ) -> None:
        self.name = name
        self._base_url = base_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._breaker = Breaker(f"peer:{name}", open_seconds=breaker_open_seconds)
        self._retries = RetryBudget()
        self._transport = Transport(name, timeout_seconds=timeout_seconds, max_connections=max_connections)

    async def get(self, path: str, **options: Unpack[RequestOptions]) -> Reply:
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Unpack[RequestOptions]) -> Reply:
        return await self.request("POST", path, **options)

    async def put(self, path: str, **options: Unpack[RequestOptions]) -> Reply:
        return await self.request("PUT", path, **options)

    async def delete(self, path: str, **options: Unpack[RequestOptions]) -> Reply:
        return await self.request("DELETE", path, **options)

    async def fetch(self, as_type: type[T], path: str, **options: Unpack[RequestOptions]) -> T:
        """GETs and decodes; what is not 2xx is raised as ``Reply.raise_for_status`` reads it."""
        return (await self.get(path, **options)).raise_for_status().decode(as_type)

    async def request(self, method: str, path: str, **options: Unpack[RequestOptions]) -> Reply:
        """Answers whatever the peer said below 500. ``path`` begins with a slash and is quoted already.

        Raises:
            PeerUnavailable: No answer in time, or none at all; see its ``maybe_executed``.
            PeerFailed: The peer answered 5xx or something that is not HTTP.
        """
        self._retries.deposit()
        started, outcome = time.perf_counter(), "cancelled"
        try:
            call = self._prepare(method, path, options)
            reply = await self._carry_out(call, idempotent=options.get("idempotent", method in _IDEMPOTENT))
            outcome = "ok" if reply.status_code < 400 else "rejected"  # noqa: PLR2004 - HTTP's own number
        except PeerProblem as error:
            outcome = error.reason
            if outcome != "breaker_open":
                cause = type(error.__cause__).__name__ if error.__cause__ else None
                _log.warning("peer call failed", peer=self.name, method=method, reason=error.reason, cause=cause)
            raise
        finally:
            _CALLS.labels(self.name, outcome).inc()
            _SECONDS.labels(self.name).observe(time.perf_counter() - started)
        return reply

    def _prepare(self, method: str, path: str, options: RequestOptions) -> Call:
        seconds = self._timeout_seconds
        if (left := deadlines.remaining()) is not None:
            seconds = min(seconds, left - min(_KEPT_BACK_SECONDS, left / 5))
            if seconds <= 0:
                raise PeerUnavailable(self.name, "no_time", maybe_executed=False)
        headers = {"Accept": "application/json", **options.get("headers", {})}
        if (request_id := correlation.correlation_id.get()) is not None:
            headers[correlation.HEADER] = request_id
        if token := options.get("token"):
            headers["Authorization"] = f"Bearer {token}"
        body = None
        if "json" in options:
            headers["Content-Type"] = "application/json"
            body = msgspec.json.encode(options["json"])
        return Call(
            method,
            self._base_url + path,
            headers,
            body,
            options.get("params"),
            ends_at=asyncio.get_running_loop().time() + seconds,
        )

    async def _carry_out(self, call: Call, *, idempotent: bool) -> Reply:
        try:
            return await self._attempt(call)
        except PeerProblem as first:
            if not (idempotent and first.reason in _RETRIED and await self._pause(call, first)):
                raise
            _RETRIES.labels(self.name).inc()
            try:
                return await self._attempt(call)
            except PeerProblem as second:
                # Refused at the door the second time does not undo what the first may have done.
                second.maybe_executed = second.maybe_executed or first.maybe_executed
                raise

    async def _pause(self, call: Call, error: PeerProblem) -> bool:
        """Waits before a retry; False if the time or the retry budget does not allow one."""
        seconds = backoff_seconds(error.asked_seconds)
        if asyncio.get_running_loop().time() + seconds >= call.ends_at or not self._retries.withdraw():
            return False
        await asyncio.sleep(seconds)
        return True

    async def _attempt(self, call: Call) -> Reply:
        try:
            attempt = self._breaker.attempt()
        except BreakerOpen as error:
            raise PeerUnavailable(
                self.name, "breaker_open", maybe_executed=False, retry_after_seconds=error.retry_after_seconds
            ) from None
        # An attempt that its own caller cut short says little about the peer.
        is_fair = call.ends_at - asyncio.get_running_loop().time() >= self._timeout_seconds / 2
        with attempt:
            try:
                reply = await self._transport.send(call)
            except PeerProblem as error:
                if error.reason != "timeout" or is_fair:
                    attempt.failed()
                raise
            if reply.status_code < 500:  # noqa: PLR2004 - HTTP's own number
                attempt.succeeded()
                return reply
            attempt.failed()
            raise self._failure(reply)

    def _failure(self, reply: Reply) -> PeerProblem:
        asked = retry_after_seconds(reply.headers)
        error: PeerProblem
        if reply.status_code == PeerUnavailable.status:
            error = PeerUnavailable(self.name, "overloaded", maybe_executed=True, retry_after_seconds=asked or 1)
        else:
            error = PeerFailed(self.name, "overloaded" if reply.status_code in _OVERLOADED else "failed")
        error.asked_seconds = asked
        return error

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
