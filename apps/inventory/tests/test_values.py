"""What can be stored: amounts to the cent, names without control characters."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microdemo_core.problems import Invalid
from microdemo_inventory import values


@pytest.mark.parametrize(
    ("given_amount", "stored"),
    [
        ("0", "0.00"),
        ("-0", "0.00"),
        ("0.005", "0.01"),
        ("1.004999", "1.00"),
        ("99999999.99", "99999999.99"),
        ("1E2", "100.00"),
    ],
)
def test_amounts_are_whole_cents(given_amount: str, stored: str) -> None:
    """Halves go up, and there is no negative zero."""
    assert str(values.price(Decimal(given_amount))) == stored


@pytest.mark.parametrize("amount", ["-0.01", "-1E-9", "NaN", "sNaN", "Infinity", "100000000", "99999999.995", "1E+400"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    """Negative, not a number, or beyond what is stored."""
    with pytest.raises(ValueError, match="give an amount"):
        values.price(Decimal(amount))


@given(st.decimals(min_value=0, max_value=Decimal("99999999.99")))
def test_rounding_moves_by_half_a_cent_at_most(amount: Decimal) -> None:
    """For every amount that is one, however many digits it has."""
    assert abs(values.price(amount) - amount) <= Decimal("0.005")


def test_a_total_may_be_larger_than_a_price() -> None:
    """As large as any reservation's lines can come to."""
    assert values.total(Decimal(10) ** 17) == Decimal(10) ** 17


def test_checked_names_the_field() -> None:
    """A rule's ValueError becomes a 422 about that field."""
    assert values.checked("name", values.plain_name, " a ") == "a"
    with pytest.raises(Invalid) as refused:
        values.checked("lines[2].price", values.price, Decimal(-1))
    assert "lines[2].price" in str(refused.value)
