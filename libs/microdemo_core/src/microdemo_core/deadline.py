"""How long the current request may still take: one point in time that nested calls and peers can only bring nearer."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from microdemo_core.problems import GatewayTimeout

__all__ = (
    "HEADER",
    "DeadlineExceeded",
    "RequestDeadline",
    "deadline",
    "format_budget",
    "parse_budget",
    "remaining",
)

HEADER: Final = "X-Request-Budget-Ms"

_SHORTEST_SECONDS: Final = 0.001

# On the loop's clock, so it means nothing in another process; what travels is the time that is left.
_ends_at: ContextVar[float | None] = ContextVar("deadline", default=None)


class DeadlineExceeded(GatewayTimeout):
    """504, not 503: the time may have run out during a COMMIT, so nobody may promise that nothing was done."""

    def __init__(self) -> None:
        super().__init__("This took longer than it may. Look whether it was done before trying again.")


def remaining() -> float | None:
    """Seconds until the nearest deadline, 0 when less than a millisecond is left; None when there is none."""
    if (ends_at := _ends_at.get()) is None:
        return None
    left = ends_at - asyncio.get_running_loop().time()
    # uvloop's timers go off up to half a millisecond early.
    return left if left >= _SHORTEST_SECONDS else 0.0


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[asyncio.Timeout | None]:
    """Cancels the block after ``seconds``, or at an enclosing deadline if that comes first.

    Yields the timeout, so that a stream can call it off; None when an enclosing deadline does the work.

    Raises:
        DeadlineExceeded: From the block whose time ran out, never from one inside it.
    """
    ends_at = asyncio.get_running_loop().time() + seconds
    outer = _ends_at.get()
    if outer is not None and outer <= ends_at:
        yield None
        return
    reset = _ends_at.set(ends_at)
    try:
        async with asyncio.timeout_at(ends_at) as timeout:
            yield timeout
    except TimeoutError:
        if timeout.expired():
            raise DeadlineExceeded from None
        raise
    finally:
        _ends_at.reset(reset)


def format_budget(seconds: float) -> str:
    """Whole milliseconds for the header, rounded down: a peer must give up before its caller does."""
    return str(math.floor(seconds * 1000))


def parse_budget(text: str | None) -> float | None:
    """Seconds from the header; None for whatever is not a positive whole number of milliseconds."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 9:  # noqa: PLR2004 - eleven days
        return None
    return int(text) / 1000 or None


class RequestDeadline(ASGIMiddleware):
    """Ends every request after ``seconds``, or when its caller's budget is spent if that is sooner.

    A route that needs longer says so with ``opt={"deadline_seconds": 60}``. Once the answer has begun the deadline
    is off: a download takes as long as its reader, and a stream that stops half-way cannot become an error document.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        seconds = float(scope["route_handler"].opt.get("deadline_seconds", self._seconds))
        if budget := parse_budget(Headers.from_scope(scope).get(HEADER)):
            seconds = min(seconds, budget)
        async with deadline(seconds) as timeout:

            async def send_in_time(message: Message) -> None:
                if timeout is not None and not timeout.expired() and message["type"] == "http.response.start":
                    timeout.reschedule(None)
                    _ends_at.set(None)
                await send(message)

            await next_app(scope, receive, send_in_time)
