"""Amounts of money: decimals of two digits, never negative."""

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Protocol

__all__ = ("LARGEST_PRICE", "LARGEST_TOTAL", "NotMoney", "cents", "sum_of")

CENT: Final = Decimal("0.01")
LARGEST_PRICE: Final = Decimal("99999999.99")
"""The catalogue's limit; inventory would refuse to read more."""
LARGEST_TOTAL: Final = 1_000_000 * LARGEST_PRICE
"""Of 100 lines of 10,000 pieces."""


class NotMoney(ValueError):  # noqa: N818 - the condition is the name
    """Says what an amount should be."""

    def __init__(self, largest: Decimal) -> None:
        super().__init__(f"should be an amount of money from 0 to {largest}")


def cents(amount: Decimal, *, largest: Decimal = LARGEST_PRICE) -> Decimal:
    """Rounded, half up. Raises: NotMoney."""
    # Before quantize, which would write 1E+999999 out digit by digit.
    if not amount.is_finite() or amount < 0 or amount > largest:
        raise NotMoney(largest)
    return abs(amount.quantize(CENT, ROUND_HALF_UP))


class _Line(Protocol):
    @property
    def quantity(self) -> int: ...
    @property
    def price(self) -> Decimal | None: ...


def sum_of(lines: Iterable[_Line]) -> Decimal:
    """A line without a price counts for nothing."""
    return sum((line.quantity * line.price for line in lines if line.price is not None), Decimal("0.00"))
