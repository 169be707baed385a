"""The rules of items. Every change of ``qty`` is written to the ledger in the same transaction."""

from msgspec import UNSET

from microdemo_core.conditional import require_match
from microdemo_core.db import UnitOfWork
from microdemo_core.problems import Invalid
from microdemo_inventory import values
from microdemo_inventory.catalogue import forget
from microdemo_inventory.errors import QuantityOutOfRange, SkuInUse, StockReserved, UnknownItem
from microdemo_inventory.models import Item
from microdemo_inventory.repository import ItemRepository, LedgerRepository, read_item
from microdemo_inventory.schemas import AdjustmentCreate, InventoryItem, ItemCreate, ItemUpdate
from microdemo_inventory.values import MAX_QUANTITY

__all__ = ("Stock",)


class Stock:
    """Changes on behalf of the account ``by``."""

    def __init__(self, work: UnitOfWork, *, by: int) -> None:
        self._work = work
        self._by = by
        self._items = ItemRepository(session=work.session)
        self._ledger = LedgerRepository(session=work.session)

    async def create(self, wanted: ItemCreate) -> InventoryItem:
        """Raises: SkuTaken, Invalid."""
        item = Item(
            sku=values.checked("sku", values.usable_sku, wanted.sku),
            qty=wanted.qty,
            name=values.checked("name", values.plain_name, wanted.name),
            price=None if wanted.price is None else values.checked("price", values.price, wanted.price),
        )
        await self._items.save(item)
        self._record(item, item.qty, "opening stock")
        return self._changed(item)

    async def update(self, item_id: int, change: ItemUpdate, *, if_match: str | None) -> InventoryItem:
        """What equals the stored is no change. Raises: UnknownItem, StaleVersion, SkuInUse, SkuTaken, Invalid."""
        item = await self._locked(item_id, if_match)
        if change.sku is not None and change.sku != item.sku:
            await self._rename(item, values.checked("sku", values.usable_sku, change.sku))
        if change.name is not None:
            item.name = values.checked("name", values.plain_name, change.name)
        if change.price is not UNSET:
            item.price = None if change.price is None else values.checked("price", values.price, change.price)
        if change.qty is not None:
            # The first version's clients set a number; the ledger keeps what that did.
            self._record(item, change.qty - item.qty, f"set to {change.qty}")
            item.qty = change.qty
        await self._items.save(item)
        return self._changed(item)

    async def adjust(self, item_id: int, wanted: AdjustmentCreate) -> InventoryItem:
        """Raises: UnknownItem, QuantityOutOfRange, Invalid."""
        reason = values.checked("reason", values.plain_name, wanted.reason)
        if not reason:
            raise Invalid.field("reason", "say why, in a few words")
        if not wanted.delta:
            raise Invalid.field("delta", "0 would change nothing")
        item = await self._locked(item_id, None)
        if not 0 <= item.qty + wanted.delta <= MAX_QUANTITY:
            raise QuantityOutOfRange(item.sku, item.qty, wanted.delta)
        item.qty += wanted.delta
        self._record(item, wanted.delta, reason)
        await self._items.save(item)
        return self._changed(item)

    async def delete(self, item_id: int, *, if_match: str | None) -> None:
        """Raises: UnknownItem, StaleVersion, StockReserved."""
        item = await self._locked(item_id, if_match)
        if held := await self._items.held(item.sku):
            raise StockReserved(item.sku, held)
        self._record(item, -item.qty, "deleted")
        await self._work.session.delete(item)
        await self._work.session.flush()
        forget(self._work, [(item.id, item.sku)])

    async def _locked(self, item_id: int, if_match: str | None) -> Item:
        item = await self._items.locked(item_id)
        if item is None:
            raise UnknownItem(item_id)
        require_match(if_match, read_item(item).tag)
        return item

    async def _rename(self, item: Item, sku: str) -> None:
        if await self._items.is_in_use(item.sku):
            raise SkuInUse(item.sku)
        forget(self._work, [(item.id, item.sku)])
        # Each SKU's entries must sum to what there is under it.
        self._record(item, -item.qty, f"renamed to {sku}")
        old, item.sku = item.sku, sku
        self._record(item, item.qty, f"renamed from {old}")

    def _record(self, item: Item, delta: int, reason: str) -> None:
        self._ledger.record(item.id, item.sku, delta, reason, by=self._by)

    def _changed(self, item: Item) -> InventoryItem:
        forget(self._work, [(item.id, item.sku)])
        return read_item(item)
