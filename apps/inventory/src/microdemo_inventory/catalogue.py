"""Items as they are read: through the cache, without a database connection on a hit.

Entries live 30 s and are forgotten after every commit that changes them, reservations included. Redis away: each read
asks the database, in one statement without a transaction.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from microdemo_core.cache import Cache, cached
from microdemo_core.db import Database, PageRequest, UnitOfWork
from microdemo_inventory.models import Item
from microdemo_inventory.repository import ItemRepository, StockFilter, item_with, read_item
from microdemo_inventory.schemas import InventoryItem

__all__ = ("ITEMS", "Catalogue", "EncodedPage", "forget")

ITEMS: Final = "inventory:items"
"""The namespace of all that is read about more than one item."""


class EncodedPage(msgspec.Struct, frozen=True):
    """``items`` is the JSON array as it is sent; to find its end in 82 kB takes 28 µs."""

    items: msgspec.Raw
    total: int
    next_cursor: str | None


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

    async def page(self, page: PageRequest, *, q: str | None, stock: StockFilter | None) -> EncodedPage:
        return await self._page(page.skip, page.limit, page.cursor, page.sort, q, stock)

    @cached("inventory:list:{skip}:{limit}:{cursor}:{sort}:{q}:{stock}", ttl_seconds=30, namespace=ITEMS)
    async def _page(
        self, skip: int, limit: int, cursor: str | None, sort: str | None, q: str | None, stock: StockFilter | None
    ) -> EncodedPage:
        async with self._database.unit_of_work(read_only=True) as work:
            listing = await ItemRepository(session=work.session).page(
                PageRequest(skip, limit, cursor, sort), q=q, stock=stock
            )
        items = msgspec.json.encode([read_item(row) for row in listing.items])
        return EncodedPage(msgspec.Raw(items), listing.total, listing.next_cursor)

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
