"""Orders come in batches: one transaction in each database, and all that is in it follows from its name."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from msgspec import Struct

__all__ = ("DEFAULT_ORDERS", "MOST_ORDERS", "Batch", "missing_batches", "order_id")

DEFAULT_ORDERS: Final = 460
"""The first batch: what everybody gets."""
MOST_ORDERS: Final = 9_999_999
"""What seven digits can number."""

_LARGEST: Final = 25_000
_DEFAULT_DAYS: Final = 91
"""Today, and the 90 whole days before it that a forecast looks at: an empty first one would seem an outage."""
_SCALE_DAYS: Final = 365
_ORDERS_PER_SHOPPER: Final = 100
_NAME: Final = re.compile(r"demo:(\d+)-(\d+)@(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")


class Batch(Struct, frozen=True):
    """The orders numbered ``first`` to ``last``, as they are to be seen at ``anchor``, the moment of their making."""

    first: int
    last: int
    anchor: datetime

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    @property
    def is_default(self) -> bool:
        return self.first == 1

    @property
    def days(self) -> int:
        """Over how many the orders are spread; the last one is the anchor's."""
        return _DEFAULT_DAYS if self.is_default else _SCALE_DAYS

    @property
    def opens(self) -> datetime:
        """Before any of its orders."""
        return self.anchor - timedelta(days=self.days)

    @property
    def shoppers(self) -> int:
        """How many customers are made for it, besides those whom everybody knows."""
        return 0 if self.is_default else -(-self.size // _ORDERS_PER_SHOPPER)

    @property
    def id_range(self) -> tuple[str, str]:
        return order_id(self.first), order_id(self.last)

    @property
    def name(self) -> str:
        """It stands as the correlation ID on the batch's entries in the stock ledger."""
        return f"demo:{self.first}-{self.last}@{self.anchor:%Y-%m-%dT%H:%M:%SZ}"

    @classmethod
    def named(cls, name: str) -> Self | None:
        """None for what is no batch's name."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        anchor = datetime.strptime(found[3], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        return cls(int(found[1]), int(found[2]), anchor)


def missing_batches(there: Sequence[Batch], wanted: int, now: datetime) -> Iterator[Batch]:
    """What brings the orders to ``wanted``; the default ones come first, and in any case."""
    done = max((batch.last for batch in there), default=0)
    anchor = now.astimezone(UTC).replace(microsecond=0)
    if not done:
        yield Batch(1, DEFAULT_ORDERS, anchor)
        done = DEFAULT_ORDERS
    while done < wanted:
        last = min(done + _LARGEST, wanted)
        yield Batch(done + 1, last, anchor)
        done = last


def order_id(number: int) -> str:
    return f"DEMO-{number:07}"
