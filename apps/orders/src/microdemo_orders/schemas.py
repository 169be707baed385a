"""What goes over the wire; :mod:`microdemo_orders.lines` rounds its money to cents and merges duplicate lines."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct

from microdemo_orders.machine import SettableStatus, Status

__all__ = (
    "NAME_PATTERN",
    "DayOfOrders",
    "Item",
    "ItemInput",
    "Order",
    "OrderCreate",
    "OrderEvent",
    "OrderId",
    "OrderUpdate",
    "RecentOrder",
    "Sku",
    "Summary",
    "Timeseries",
)

# `$` alone would let a trailing newline pass in Python, and `\Z` means something else in a browser.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$(?!\n)"

_NAME = "1 to 64 letters, digits, dots, dashes and underscores, a letter or a digit first"

OrderId = Annotated[str, Meta(pattern=NAME_PATTERN, description=_NAME, examples=["ORD-1001"])]
Sku = Annotated[str, Meta(pattern=NAME_PATTERN, description=_NAME, examples=["SKU-001"])]
UserId = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Price = Annotated[Decimal, Meta(examples=["10.00"])]


class Item(Struct, frozen=True):
    """``price`` is that of one piece, null only while the order is settling and nobody stated one."""

    sku: str
    quantity: int
    price: Price | None


class ItemInput(Struct, frozen=True):
    sku: Sku
    quantity: Annotated[int, Meta(ge=1, le=10_000)]
    price: Price | None = None


class OrderCreate(Struct, frozen=True, kw_only=True):
    """``user_id`` 0 or absent is the caller; without prices the catalogue's are taken."""

    items: Annotated[list[ItemInput], Meta(min_length=1, max_length=100)]
    id: OrderId | None = None
    user_id: UserId | None = None
    total: Price | None = None
    status: SettableStatus | None = None


class OrderUpdate(Struct, frozen=True, kw_only=True):
    """What is absent or equal to the stored value is no change."""

    items: Annotated[list[ItemInput], Meta(min_length=1, max_length=100)] | None = None
    id: str | None = None
    user_id: UserId | None = None
    total: Price | None = None
    status: Status | None = None


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``settling``: inventory has not answered yet, look again. ``reason``: why a rejected order was."""

    id: str
    user_id: int
    total: Price | None
    status: Status
    items: list[Item]
    created_at: datetime
    updated_at: datetime
    version: int
    settling: bool = False
    reason: str | None = None


class OrderEvent(Struct, frozen=True, kw_only=True):
    id: int
    order_id: str
    event_type: str
    description: str
    old_value: str | None
    new_value: str | None
    user_id: int | None
    correlation_id: str | None
    created_at: datetime


class RecentOrder(Struct, frozen=True, kw_only=True):
    id: str
    user_id: int
    total: Price
    status: Status
    created_at: datetime


class Summary(Struct, frozen=True, kw_only=True):
    """``total_revenue`` counts no cancelled order."""

    total_orders: int
    total_revenue: Price
    status_breakdown: dict[str, int]
    recent_orders_7d: int
    recent_orders: list[RecentOrder]


class DayOfOrders(Struct, frozen=True):
    """A day in UTC; ``revenue`` counts no cancelled order."""

    date: date
    orders: int
    revenue: float


class Timeseries(Struct, frozen=True):
    days: int
    series: list[DayOfOrders]
