"""Money: whole cents, or a sentence."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microdemo_core.money import NotMoney, cents

LARGEST = Decimal("99999999.99")


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        ("0", "0.00"),
        ("-0", "0.00"),
        ("0.005", "0.01"),
        ("1.004999", "1.00"),
        ("1E+2", "100.00"),
        ("99999999.99", "99999999.99"),
        ("99999999.994", "99999999.99"),
    ],
)
def test_amounts_are_whole_cents(amount: str, rounded: str) -> None:
    """Two digits, half up, no negative zero."""
    assert str(cents(Decimal(amount), largest=LARGEST)) == rounded


@pytest.mark.parametrize(
    "amount", ["-0.01", "-1E-9", "NaN", "sNaN", "Infinity", "100000000", "99999999.995", "1E+999999"]
)
def test_what_is_no_amount_is_refused(amount: str) -> None:
    """Negative, not a number, or too much; without writing out a million digits."""
    with pytest.raises(NotMoney, match=r"from 0\.00 to 99999999\.99$"):
        cents(Decimal(amount), largest=LARGEST)


@given(st.decimals(min_value=0, max_value=LARGEST))
def test_rounding_moves_by_half_a_cent_at_most(amount: Decimal) -> None:
    """For every amount that is one, however many digits it has."""
    assert abs(cents(amount, largest=LARGEST) - amount) <= Decimal("0.005")
