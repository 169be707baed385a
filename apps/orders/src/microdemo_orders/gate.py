"""A bound on how many orders one process moves at a time; the others wait at the door, where they cost nothing.

Without it 200 requests at once share the event loop, and every call to a peer takes longer than its time allows:
all of them would fail, where one after the other all succeed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from microdemo_core.problems import Unavailable

__all__ = ("Busy", "Gate")


class Busy(Unavailable):
    """Too many orders at this moment."""

    def __init__(self) -> None:
        super().__init__("There are too many orders at this moment. Please try again.", retry_after_seconds=2)


class Gate:
    def __init__(self, places: int, *, wait_seconds: float) -> None:
        self._places = asyncio.Semaphore(places)
        self._wait_seconds = wait_seconds

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Raises: Busy, if no place came free in time; nothing has been done then."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise Busy from None
        try:
            yield
        finally:
            self._places.release()
