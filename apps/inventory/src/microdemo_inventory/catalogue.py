"""Items as they are read: through the cache, without a database connection on a hit.

Entries live 30 s and are forgotten after every commit that changes them, reservations included. Redis away: each read
asks the database, in one statement without a transaction.
"""

from collections.abc import Iterable
from typing import Any, Final

from microdemo_core.cache import Cache, cached
from microdemo_core.db import Database, EncodedListing, PageRequest, UnitOfWork
from microdemo_inventory.models import Item
from microdemo_inventory.repository import ItemRepository, StockFilter, item_with, read_item
from microdemo_inventory.schemas import InventoryItem

__all__ = ("ITEMS", "Catalogue", "forget")

ITEMS: Final = "inventory:items"
"""The namespace of all that is read about more than one item."""


class Catalogue:
    def __init__(self, cache: Cache, database: Database) -> None:
        self.cache = cache
        self._database = database

    @cached("inventory:item:{item_id}", ttl_seconds=30, negative_ttl_seconds=5)
    async def item(self, item_id: int) -> InventoryItem | None:
        return await self._one(Item.id, item_id)

    @cached("inventory:sku:{sku}", ttl_seconds=30, negative_ttl_seconds=5)
    async def item_by_sku(self, sku: str) -> InventoryItem | None:
        return await self._one(Item.sku, sku)

    @cached("inventory:list:{page}:{q}:{stock}", ttl_seconds=30, namespace=ITEMS)
    async def page(self, page: PageRequest, q: str | None, stock: StockFilter | None) -> EncodedListing:
        async with self._database.unit_of_work(read_only=True) as work:
            listing = await ItemRepository(session=work.session).page(page, q=q, stock=stock)
        return listing.encoded(read_item)

    async def _one(self, column: Any, value: int | str) -> InventoryItem | None:
        async with self._database.unit_of_work(read_only=True) as work:
            row = (await work.session.execute(item_with(column, value))).one_or_none()
        return None if row is None else read_item(row)


def forget(work: UnitOfWork, items: Iterable[tuple[int, str]]) -> None:
    """After the commit: what is remembered of these items, by id and by SKU, and whatever they are counted in."""
    # Ids and SKUs that did not exist until now may be remembered as unknown.
    keys = {key for item_id, sku in items for key in (Catalogue.item.key(item_id), Catalogue.item_by_sku.key(sku))}
    if keys:
        work.invalidate(*keys, namespaces=(ITEMS,))
