"""Lines of an order, before inventory sees them: merged, rounded, compared with those that are stored. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from microdemo_core.money import NotMoney, cents
from microdemo_core.problems import FieldError, Invalid
from microdemo_orders.money import LARGEST_PRICE, LARGEST_TOTAL
from microdemo_orders.schemas import Item, ItemInput
from microdemo_orders.stock import Line

__all__ = ("are_equal", "merge", "repriced", "stated_total")

_LARGEST_QUANTITY: Final = 10_000


def merge(items: Sequence[ItemInput]) -> list[Line]:
    """Prices in cents; the same SKU twice at one price is one line. Raises: Invalid, naming every wrong line."""
    merged: dict[str, Line] = {}
    errors: list[FieldError] = []
    for index, item in enumerate(items):
        try:
            price = None if item.price is None else cents(item.price, largest=LARGEST_PRICE)
        except NotMoney as error:
            errors.append(FieldError(f"items[{index}].price", str(error)))
            continue
        seen = merged.get(item.sku)
        if seen is not None and seen.price != price:
            errors.append(FieldError(f"items[{index}].price", f"{item.sku} is in this order twice, at two prices"))
            continue
        quantity = item.quantity + (seen.quantity if seen else 0)
        if quantity > _LARGEST_QUANTITY:
            errors.append(
                FieldError(f"items[{index}].quantity", f"an order has at most {_LARGEST_QUANTITY:,} pieces of a SKU")
            )
        merged[item.sku] = Line(item.sku, quantity, price)
    _refuse(errors)
    return list(merged.values())


def stated_total(total: Decimal | None) -> Decimal | None:
    """In cents. Raises: Invalid."""
    try:
        return None if total is None else cents(total, largest=LARGEST_TOTAL)
    except NotMoney as error:
        raise Invalid.field("total", str(error)) from None


def are_equal(lines: Sequence[Line], stored: Sequence[Item]) -> bool:
    """The same pieces, at the same prices where prices are stated, in whatever order."""
    known = {item.sku: item for item in stored}
    return len(lines) == len(stored) and all(
        (item := known.get(line.sku)) is not None
        and line.quantity == item.quantity
        and line.price in (None, item.price)
        for line in lines
    )


def repriced(lines: Sequence[Line], stored: Sequence[Item]) -> list[str]:
    """In words, the kept lines that are stated at another price than they were sold for."""
    sold = {item.sku: item.price for item in stored}
    return [
        f"{line.sku} at {line.price} instead of {sold[line.sku]}"
        for line in lines
        if line.price is not None and line.sku in sold and line.price != sold[line.sku]
    ]


def _refuse(errors: list[FieldError]) -> None:
    if errors:
        raise Invalid(f"{errors[0].field}: {errors[0].message}.", errors=errors)
