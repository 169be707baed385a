"""Single-flight inside the process: callers share one piece of work, but only work that began after they asked.

Joining work that is already under way would hand a reader what was true before a commit it has already seen. So at
most one piece of work per key runs, and everyone who comes meanwhile shares the next. With Redis there the next one
is a hit.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

__all__ = ("SingleFlight",)

T = TypeVar("T")


class _Seat(Generic[T]):
    """One waiting caller. ``place`` gets the shared value, or None when it is this caller's turn to work."""

    __slots__ = ("place", "was_failed")

    def __init__(self, place: asyncio.Future[tuple[T] | None]) -> None:
        self.place: Final = place
        self.was_failed = False


class SingleFlight(Generic[T]):
    """The worker runs in its own caller's task, with that caller's session and deadline.

    If it is cancelled, the next in line works instead. If it fails, the error is its own; those who shared it get a
    second chance, and share the error if that fails too: two failures are the source's, one may be the worker's.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[_Seat[T]]] = {}

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """Returns: The value, and whether another caller did the work."""
        queue = self._waiting.get(key)
        if queue is None:
            self._waiting[key] = []
            return await self._work(key, work, []), False
        seat = _Seat[T](asyncio.get_running_loop().create_future())
        queue.append(seat)
        try:
            shared = await seat.place
        except asyncio.CancelledError:
            place = seat.place
            if place.done() and not place.cancelled() and place.exception() is None and place.result() is None:
                # Chosen to work, and cancelled before it could begin.
                self._hand_over(key)
            raise
        if shared is not None:
            return shared[0], True
        passengers, self._waiting[key] = self._waiting[key], []
        return await self._work(key, work, passengers), False

    async def _work(self, key: str, work: Callable[[], Awaitable[T]], passengers: list[_Seat[T]]) -> T:
        try:
            value = await work()
        except Exception as error:
            for seat in passengers:
                if seat.was_failed and not seat.place.done():
                    seat.place.set_exception(error)
                seat.was_failed = True
            raise
        else:
            for seat in passengers:
                if not seat.place.done():
                    seat.place.set_result((value,))
            return value
        finally:
            self._waiting[key][:0] = [seat for seat in passengers if not seat.place.done()]
            self._hand_over(key)

    def _hand_over(self, key: str) -> None:
        """Wakes the first who still waits; he takes all who are in line at that moment along."""
        queue = self._waiting[key]
        while queue:
            seat = queue.pop(0)
            if not seat.place.done():
                seat.place.set_result(None)
                return
        del self._waiting[key]
