"""When people order: less at weekends, a little more every month, by day rather than by night. Pure."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Final

__all__ = ("moments",)

_DAY: Final = timedelta(days=1)
_BY_WEEKDAY: Final = (1.12, 1.06, 1.04, 1.10, 1.18, 0.60, 0.45)
_GROWTH: Final = 0.30
"""How much busier the last day is than the first one."""
_NOISE: Final = 0.05

# Two days that a forecast should find, moved back to a Wednesday and a Tuesday: on a Sunday nobody would notice.
_WEDNESDAY, _TUESDAY = 2, 1
_CAMPAIGN: Final = (24, _WEDNESDAY, 2.6)
_OUTAGE: Final = (45, _TUESDAY, 0.0)


def moments(count: int, days: int, anchor: datetime, rng: Random) -> list[datetime]:
    """``count`` moments in the ``days`` that end with the anchor's, in UTC, earliest first and none after it.

    Whatever the time of day, today has as many as a whole day of its kind: less would look like a slump.
    """
    midnight = datetime(anchor.year, anchor.month, anchor.day, tzinfo=UTC)
    shares = list(accumulate(_weights(midnight, days, rng)))
    found = []
    for number in range(count):
        # Evenly through the shares, not at random: with five orders a day, chance would hide the rhythm.
        ago = days - 1 - bisect_right(shares, (number + 0.5) / count * shares[-1])
        if ago:
            # The mean of two: most around half past two in the afternoon.
            hours = 6 + 17 * (rng.random() + rng.random()) / 2
            found.append(midnight - ago * _DAY + timedelta(hours=hours))
        else:
            found.append(midnight + (anchor - midnight) * rng.random())
    return sorted(found)


def _weights(midnight: datetime, days: int, rng: Random) -> Iterator[float]:
    """One per day, the first one first."""
    unusual = {_on(midnight - days_ago * _DAY, weekday): factor for days_ago, weekday, factor in (_CAMPAIGN, _OUTAGE)}
    for index in range(days):
        day = midnight - (days - 1 - index) * _DAY
        trend = 1 + _GROWTH * index / days
        noise = 1 + _NOISE * (2 * rng.random() - 1)
        yield _BY_WEEKDAY[day.weekday()] * trend * noise * unusual.get(day, 1.0)


def _on(day: datetime, weekday: int) -> datetime:
    return day - ((day.weekday() - weekday) % 7) * _DAY
