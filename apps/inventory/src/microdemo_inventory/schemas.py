"""What goes over the wire about items; money is decimal text with two digits."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from microdemo_core.conditional import entity_tag
from microdemo_inventory.values import MAX_QUANTITY, Name, Quantity, Sku

__all__ = (
    "Adjustment",
    "AdjustmentCreate",
    "InventoryItem",
    "ItemCreate",
    "ItemUpdate",
    "LowStockItem",
    "Summary",
)


class InventoryItem(Struct, frozen=True, kw_only=True):
    """``qty`` is what is available; ``price`` is null where the item has none and cannot be ordered by a user."""

    id: int
    sku: str
    qty: int
    created_at: datetime
    name: str
    price: Decimal | None
    updated_at: datetime
    version: int

    @property
    def tag(self) -> str:
        """The id is in it because a SKU's address can come to mean another item, whose versions begin again."""
        return entity_tag(self.id, self.version)


class ItemCreate(Struct, frozen=True):
    sku: Sku
    qty: Quantity
    name: Name = ""
    price: Decimal | None = None


class ItemUpdate(Struct, frozen=True):
    """What is absent stays, and so does what is null, but for ``price``: null takes it away."""

    sku: Sku | None = None
    qty: Quantity | None = None
    name: Name | None = None
    price: Decimal | UnsetType | None = UNSET


class AdjustmentCreate(Struct, frozen=True):
    delta: Annotated[int, Meta(ge=-MAX_QUANTITY, le=MAX_QUANTITY, description="Pieces to add, or to take; not 0.")]
    reason: Annotated[str, Meta(min_length=1, max_length=200, examples=["stocktaking"])]


class Adjustment(Struct, frozen=True, kw_only=True):
    """One entry of the ledger; ``user_id`` is who, null where the service itself did it."""

    id: int
    item_id: int | None
    sku: str
    delta: int
    reason: str
    user_id: int | None
    created_at: datetime


class LowStockItem(Struct, frozen=True):
    id: int
    sku: str
    qty: int


class Summary(Struct, frozen=True):
    """``low_stock`` counts 1 to 19 pieces; ``low_stock_items`` holds those with none too, the lowest first."""

    total_items: int
    total_quantity: int
    out_of_stock: int
    low_stock: int
    low_stock_items: list[LowStockItem]
