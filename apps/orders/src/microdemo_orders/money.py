"""What an order may come to."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Protocol

__all__ = ("LARGEST_PRICE", "LARGEST_TOTAL", "sum_of")

LARGEST_PRICE: Final = Decimal("99999999.99")
"""The catalogue's limit; inventory would refuse to read more."""
LARGEST_TOTAL: Final = 1_000_000 * LARGEST_PRICE
"""Of 100 lines of 10,000 pieces."""


class _Line(Protocol):
    @property
    def quantity(self) -> int: ...
    @property
    def price(self) -> Decimal | None: ...


def sum_of(lines: Iterable[_Line]) -> Decimal:
    """A line without a price counts for nothing."""
    return sum((line.quantity * line.price for line in lines if line.price is not None), Decimal("0.00"))
