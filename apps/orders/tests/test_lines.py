"""Lines as pure data: merged, rounded, compared."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microdemo_core.problems import Invalid
from microdemo_orders import lines
from microdemo_orders.money import LARGEST_PRICE
from microdemo_orders.schemas import Item, ItemInput
from microdemo_orders.stock import Line

D = Decimal


PRICES = st.none() | st.decimals(0, LARGEST_PRICE, places=2)
ITEMS = st.lists(st.builds(ItemInput, st.sampled_from("ABC"), st.integers(1, 100), PRICES), min_size=1, max_size=5)


@given(ITEMS)
def test_merging_keeps_every_piece(items: list[ItemInput]) -> None:
    """One line per SKU with all its pieces, or a refusal because a SKU has two prices."""
    prices: dict[str, set[Any]] = {}
    for item in items:
        prices.setdefault(item.sku, set()).add(item.price)
    if any(len(each) > 1 for each in prices.values()):
        with pytest.raises(Invalid, match="two prices"):
            lines.merge(items)
        return
    merged = lines.merge(items)
    assert [line.sku for line in merged] == list(prices)
    for line in merged:
        assert line.quantity == sum(item.quantity for item in items if item.sku == line.sku)


STORED = [Item("A", 2, D("10.00")), Item("B", 1, D("1.00"))]


@pytest.mark.parametrize(
    ("wanted", "equal"),
    [
        ([Line("A", 2), Line("B", 1)], True),
        ([Line("B", 1, D(1)), Line("A", 2, D(10))], True),
        ([Line("A", 2)], False),
        ([Line("A", 2), Line("B", 2)], False),
        ([Line("A", 2), Line("C", 1)], False),
        ([Line("A", 2, D("9.99")), Line("B", 1)], False),
        ([Line("A", 2), Line("B", 1), Line("C", 1)], False),
    ],
)
def test_equal_lines(wanted: list[Line], *, equal: bool) -> None:
    """The same pieces at the same prices, where any are stated, in any order."""
    assert lines.are_equal(wanted, STORED) is equal
