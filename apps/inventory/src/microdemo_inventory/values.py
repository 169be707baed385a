"""Names, prices and SKUs as they are stored, or a sentence that says what is wrong with them."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Final, TypeVar

from msgspec import Meta

from microdemo_core.money import cents
from microdemo_core.problems import Invalid

__all__ = (
    "MAX_EPOCH",
    "MAX_QUANTITY",
    "RESERVED_SKUS",
    "SKU_PATTERN",
    "Name",
    "Quantity",
    "Sku",
    "checked",
    "plain_name",
    "price",
    "total",
    "usable_sku",
)

T = TypeVar("T")
R = TypeVar("R")

# Far enough below an integer's 2,147,483,647 that pieces given back on top of it fit too.
MAX_QUANTITY: Final = 1_000_000_000
MAX_EPOCH: Final = 2**31 - 1
_LARGEST_PRICE: Final = Decimal("99999999.99")
# More than the most that 1,000 lines of 1,000,000 pieces at such a price come to.
_LARGEST_TOTAL: Final = Decimal("999999999999999999.99")

# `$` alone would let a newline follow; the look-ahead means the same to Python and to JavaScript.
SKU_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$(?!\n)"
# They would be hidden behind a route in some client's URL: a test compares them with the routes there are.
RESERVED_SKUS: Final = frozenset(
    {"analytics", "by-sku", "export", "healthz", "import", "metrics", "readyz", "reservations", "schema", "version"}
)

Sku = Annotated[
    str,
    Meta(
        pattern=SKU_PATTERN,
        max_length=64,
        description="1 to 64 letters, digits, dots, dashes and underscores, a letter or a digit first",
        examples=["SKU-001"],
    ),
]
Name = Annotated[str, Meta(max_length=200, examples=["Enamel mug, blue"])]
Quantity = Annotated[int, Meta(ge=0, le=MAX_QUANTITY)]

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def checked(field: str, check: Callable[[T], R], value: T) -> R:
    """``check(value)``. Raises: Invalid, naming ``field``, where ``check`` raises a ValueError."""
    try:
        return check(value)
    except ValueError as error:
        raise Invalid.field(field, str(error)) from None


def price(value: Decimal) -> Decimal:
    """In whole cents. Raises: NotMoney."""
    return cents(value, largest=_LARGEST_PRICE)


def total(value: Decimal) -> Decimal:
    """In whole cents. Raises: NotMoney."""
    return cents(value, largest=_LARGEST_TOTAL)


def plain_name(text: str) -> str:
    """Without blanks around it. Raises: ValueError."""
    if _CONTROL.search(text):
        raise ValueError("leave out line breaks and other control characters")
    return text.strip()


def usable_sku(sku: str) -> str:
    """Raises: ValueError for a route's name."""
    if sku in RESERVED_SKUS:
        raise ValueError(f"{sku!r} is the name of an address of this service; choose another")
    return sku
