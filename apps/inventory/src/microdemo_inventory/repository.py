"""The SQL behind items and their ledger. Whoever locks several items does it in SKU order."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from sqlalchemy import ARRAY, BigInteger, Integer, Numeric, Row, Select, Text, bindparam, func, or_, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from microdemo_core.correlation import correlation_id
from microdemo_core.db import Listing, PageRequest, fetch_page
from microdemo_inventory.errors import SkuTaken
from microdemo_inventory.models import Item, StockAdjustment
from microdemo_inventory.reservations.models import ReservationLineRow
from microdemo_inventory.schemas import InventoryItem

__all__ = (
    "LOW_STOCK",
    "Contents",
    "ItemRepository",
    "LedgerRepository",
    "NewItem",
    "StockFilter",
    "item_with",
    "read_item",
)

LOW_STOCK = 20
"""Fewer pieces than this are few."""

StockFilter = Literal["out", "low", "ok"]

_ONE_SKU = "uq_items_sku"
_COLUMNS = tuple(getattr(Item, name) for name in InventoryItem.__struct_fields__)

_CREATE_UNKNOWN = text(
    "INSERT INTO items (sku) SELECT DISTINCT unnest(:skus) AS sku ORDER BY sku ON CONFLICT DO NOTHING RETURNING id, sku"
).bindparams(bindparam("skus", type_=ARRAY(Text)))

_REPLACE = text(
    """
    UPDATE items i
    SET qty = n.qty, name = n.name, price = n.price, version = i.version + 1, updated_at = now()
    FROM unnest(:ids, :quantities, :names, :prices) AS n (id, qty, name, price)
    WHERE i.id = n.id
    """
).bindparams(
    bindparam("ids", type_=ARRAY(BigInteger)),
    bindparam("quantities", type_=ARRAY(Integer)),
    bindparam("names", type_=ARRAY(Text)),
    bindparam("prices", type_=ARRAY(Numeric(12, 2))),
)


class NewItem(NamedTuple):
    id: int
    sku: str


class Contents(NamedTuple):
    """What an import can set of an item."""

    id: int
    sku: str
    qty: int
    name: str
    price: Decimal | None


class ItemRepository(SQLAlchemyAsyncRepository[Item]):
    model_type = Item
    session: AsyncSession

    async def save(self, item: Item) -> Item:
        """Writes what is new or changed in ``item``. Raises: SkuTaken."""
        self.session.add(item)
        sku = item.sku  # out of reach once the flush has failed
        try:
            await self.session.flush()
        except IntegrityError as error:
            if _ONE_SKU in str(error.orig):
                raise SkuTaken(sku) from None
            raise
        return item

    async def locked(self, item_id: int) -> Item | None:
        """The row, held until the transaction ends."""
        return await self.session.scalar(select(Item).where(Item.id == item_id).with_for_update())

    async def page(self, page: PageRequest, *, q: str | None, stock: StockFilter | None) -> Listing[Item]:
        return await fetch_page(
            self.session,
            _matching(q, stock),
            page,
            key=Item.id,
            sortable={"id": Item.id, "sku": Item.sku, "qty": Item.qty, "created_at": Item.created_at},
            default_sort="id",
        )

    async def columns_after(
        self, item_id: int, columns: Sequence[str], *, limit: int
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """The next ``limit`` rows by id: one step of a walk over all of them."""
        selected = [getattr(Item, name) for name in columns]
        statement = select(*selected).where(Item.id > item_id).order_by(Item.id).limit(limit)
        return (await self.session.execute(statement)).all()

    async def held(self, sku: str) -> int:
        """Pieces that orders hold and have not bought yet. Exact while the item is locked."""
        statement = select(func.coalesce(func.sum(ReservationLineRow.quantity), 0)).where(
            ReservationLineRow.sku == sku, ReservationLineRow.sold.is_(False)
        )
        return int(await self.session.scalar(statement) or 0)

    async def is_in_use(self, sku: str) -> bool:
        """Whether any order holds or has bought pieces. Exact while the item is locked."""
        statement = select(select(ReservationLineRow.sku).where(ReservationLineRow.sku == sku).exists())
        return bool(await self.session.scalar(statement))

    async def create_unknown(self, skus: Sequence[str]) -> list[NewItem]:
        """Those of ``skus`` that were unknown until now, with no stock and no price."""
        rows = await self.session.execute(_CREATE_UNKNOWN, {"skus": list(skus)})
        return [NewItem(row.id, row.sku) for row in rows]

    async def prices(self, skus: Sequence[str]) -> dict[str, Decimal | None]:
        """The catalogue's, None where it has none; unknown SKUs are left out."""
        rows = await self.session.execute(select(Item.sku, Item.price).where(Item.sku.in_(skus)))
        return {row.sku: row.price for row in rows}

    async def lock_contents(self, skus: Sequence[str]) -> list[Contents]:
        """In SKU order, held until the transaction ends; populates nothing in the session."""
        statement = (
            select(Item.id, Item.sku, Item.qty, Item.name, Item.price)
            .where(Item.sku.in_(skus))
            .order_by(Item.sku)
            .with_for_update()
        )
        return [Contents(*row) for row in await self.session.execute(statement)]

    async def replace(self, contents: Sequence[Contents]) -> None:
        """Sets quantity, name and price of items that the caller has locked."""
        await self.session.execute(
            _REPLACE,
            {
                "ids": [item.id for item in contents],
                "quantities": [item.qty for item in contents],
                "names": [item.name for item in contents],
                "prices": [item.price for item in contents],
            },
        )


class LedgerRepository(SQLAlchemyAsyncRepository[StockAdjustment]):
    model_type = StockAdjustment
    session: AsyncSession

    def record(self, item_id: int, sku: str, delta: int, reason: str, *, by: int) -> None:
        """An entry of this transaction; none where nothing changes."""
        if delta:
            self.session.add(
                StockAdjustment(
                    item_id=item_id,
                    sku=sku,
                    delta=delta,
                    reason=reason,
                    user_id=by,
                    correlation_id=correlation_id.get(),
                )
            )

    async def page(self, page: PageRequest, *, item_id: int) -> Listing[StockAdjustment]:
        return await fetch_page(
            self.session,
            select(StockAdjustment).where(StockAdjustment.item_id == item_id),
            page,
            key=StockAdjustment.id,
            sortable={"id": StockAdjustment.id},
            default_sort="-id",
        )


def item_with(column: Any, value: int | str) -> Select[*tuple[Any, ...]]:
    """The columns of an :class:`InventoryItem`, by id or by SKU: one Core statement, since all the world asks it."""
    return select(*_COLUMNS).where(column == value)


def read_item(row: Item | Row[*tuple[Any, ...]]) -> InventoryItem:
    return msgspec.convert(row, InventoryItem, from_attributes=True)


def _matching(q: str | None, stock: StockFilter | None) -> Select[Item]:
    statement = select(Item)
    if q:
        # No index serves a substring: pg_trgm is not everywhere, and 100,000 items are read in 50 ms.
        parts = (column.icontains(q, autoescape=True) for column in (Item.sku, Item.name))
        statement = statement.where(or_(*parts))
    match stock:
        case "out":
            statement = statement.where(Item.qty == 0)
        case "low":
            statement = statement.where(Item.qty.between(1, LOW_STOCK - 1))
        case "ok":
            statement = statement.where(Item.qty >= LOW_STOCK)
        case None:
            pass
    return statement
