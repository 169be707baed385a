"""What can be stored: amounts to the cent, names without control characters."""

from decimal import Decimal

import pytest

from microdemo_core.problems import Invalid
from microdemo_inventory import values


def test_a_price_has_two_digits_and_a_limit() -> None:
    """Rounded to the cent; what the column cannot hold is refused."""
    assert str(values.price(Decimal("0.005"))) == "0.01"
    with pytest.raises(ValueError, match="give an amount"):
        values.price(Decimal(100_000_000))


def test_a_total_may_be_larger_than_a_price() -> None:
    """As large as any reservation's lines can come to."""
    assert values.total(Decimal(10) ** 17) == Decimal(10) ** 17


def test_checked_names_the_field() -> None:
    """A rule's ValueError becomes a 422 about that field."""
    assert values.checked("name", values.plain_name, " a ") == "a"
    with pytest.raises(Invalid) as refused:
        values.checked("lines[2].price", values.price, Decimal(-1))
    assert "lines[2].price" in str(refused.value)
