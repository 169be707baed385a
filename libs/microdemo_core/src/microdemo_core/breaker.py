"""Circuit breaker: purgatory's state machine, driven per attempt.

Its context managers would not do. They take a cancelled call for a failure, an excluded error for a success (which
closes a half-open circuit), let every waiting call through at once when half-open, and keep one exception object
whose traceback grows by a few frames with each refusal. Here an attempt is judged only by a verdict on the peer.
"""

import time
from types import TracebackType
from typing import Final, Self

import structlog
from prometheus_client import Gauge
from purgatory.domain.model import Context, OpenedState

__all__ = ("Breaker", "BreakerOpen")

_log = structlog.get_logger("microdemo.breaker")

_OPEN: Final = Gauge("microdemo_breaker_open", "1 while calls are refused or one probe is out.", ["breaker"])


class BreakerOpen(Exception):  # noqa: N818 - a state, like StopIteration
    """Not tried. ``retry_after_seconds`` is the time until the next probe."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"open for another {retry_after_seconds:.1f} s")
        self.retry_after_seconds = retry_after_seconds


class Breaker:
    """Opens after ``failures`` in a row; after ``open_seconds`` one attempt at a time probes, and closes it by success.

    with breaker.attempt() as attempt:    # raises BreakerOpen
        ...
        attempt.succeeded()               # or failed(); neither when the attempt says nothing about the peer
    """

    def __init__(self, name: str, *, open_seconds: float, failures: int = 5) -> None:
        self.name = name
        self._open_seconds = open_seconds
        self._circuit = Context(name, threshold=failures, ttl=open_seconds)
        self._probe: Attempt | None = None
        self._metric = _OPEN.labels(name)
        self._metric.set(0)

    @property
    def is_closed(self) -> bool:
        return self._circuit.state == "closed"

    def attempt(self) -> "Attempt":
        """Raises: BreakerOpen."""
        try:
            self._circuit.handle_new_request()
        except OpenedState as opened:
            # The one object is raised each time, and would keep the frames of every refused call.
            opened.__traceback__ = None
            waits = opened.opened_at + self._open_seconds - time.time()
            raise BreakerOpen(max(0.0, waits)) from None
        if self.is_closed:
            return Attempt(self)
        if self._probe is not None:
            raise BreakerOpen(self._open_seconds)
        self._probe = Attempt(self)
        return self._probe

    def _judge(self, attempt: "Attempt", *, good: bool) -> None:
        was_closed = self.is_closed
        # What was sent before the breaker opened says nothing about the peer now.
        if not was_closed and attempt is not self._probe:
            return
        if good:
            self._circuit.handle_end_request()
        else:
            self._circuit.handle_exception(_FAILURE)
        # Meant for purgatory's message bus, which nobody reads here.
        self._circuit.messages.clear()
        if self.is_closed == was_closed:
            return
        self._metric.set(was_closed)
        if was_closed:
            _log.warning("breaker opened", breaker=self.name, open_seconds=self._open_seconds)
        else:
            _log.info("breaker closed", breaker=self.name)

    def _leave(self, attempt: "Attempt") -> None:
        if attempt is self._probe:
            self._probe = None


class Attempt:
    """One call through a breaker."""

    __slots__ = ("_breaker",)

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def succeeded(self) -> None:
        self._breaker._judge(self, good=True)  # noqa: SLF001 - the two are one mechanism

    def failed(self) -> None:
        self._breaker._judge(self, good=False)  # noqa: SLF001

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._breaker._leave(self)  # noqa: SLF001


# purgatory counts whatever it is handed.
_FAILURE: Final = Exception("failed")
