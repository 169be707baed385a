"""Counts of the stock, cached until any of it changes."""

from sqlalchemy import Select, func, select

from microdemo_core.cache import Cache, cached
from microdemo_core.db import MAX_LIMIT, Database
from microdemo_inventory.catalogue import ITEMS
from microdemo_inventory.models import Item
from microdemo_inventory.repository import LOW_STOCK
from microdemo_inventory.schemas import LowStockItem, Summary

__all__ = ("Analytics", "lowest", "totals")


class Analytics:
    def __init__(self, cache: Cache, database: Database) -> None:
        self.cache = cache
        self._database = database

    @cached("inventory:summary", ttl_seconds=30, namespace=ITEMS)
    async def summary(self) -> Summary:
        async with self._database.unit_of_work(read_only=True) as work:
            items, quantity, out, low = (await work.session.execute(totals())).one()
            few = (await work.session.execute(lowest())).all()
        return Summary(items, quantity, out, low, [LowStockItem(*row) for row in few])


def totals() -> Select[int, int, int, int]:
    """One pass over the table: no index could spare it, and one on ``qty`` would cost every order (see the model)."""
    return select(
        func.count(),
        func.coalesce(func.sum(Item.qty), 0),
        func.count().filter(Item.qty == 0),
        func.count().filter(Item.qty.between(1, LOW_STOCK - 1)),
    )


def lowest() -> Select[int, str, int]:
    """A thousand at most, which is more than anybody reads; the counts are exact."""
    statement = select(Item.id, Item.sku, Item.qty).where(Item.qty < LOW_STOCK)
    return statement.order_by(Item.qty, Item.id).limit(MAX_LIMIT)
