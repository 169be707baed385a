"""Amounts of money: decimals of two digits, never negative."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

__all__ = ("NotMoney", "cents")

_CENT: Final = Decimal("0.01")


class NotMoney(ValueError):  # noqa: N818 - the condition is the name
    """Says what an amount should be."""

    def __init__(self, largest: Decimal) -> None:
        super().__init__(f"give an amount from 0.00 to {largest}")


def cents(amount: Decimal, *, largest: Decimal) -> Decimal:
    """In whole cents, halves rounded up, and then no more than ``largest``. Raises: NotMoney."""
    # Compared first: rounding 1E+999999 would write it out digit by digit, and NaN compares with nothing.
    if amount.is_finite() and 0 <= amount < largest + _CENT:
        # abs() is for -0, which is no sum of money.
        rounded = abs(amount.quantize(_CENT, ROUND_HALF_UP))
        if rounded <= largest:
            return rounded
    raise NotMoney(largest)
