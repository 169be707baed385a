"""Orders as CSV. An import is history: what the file says of prices, totals and times is taken as it is.

Pending and processing orders reserve stock through the same saga as any other; other states take none. The file is
read to its end before anything is written. An import that dies half-way has done a part; sent again, it passes over
the rows that are stored already and does the rest.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from litestar.datastructures import UploadFile
from msgspec import Meta, Struct

from microdemo_core.csv import CsvReader, ImportReport, Row, read_upload
from microdemo_core.db import Database
from microdemo_core.problems import Invalid, Problem
from microdemo_orders import events, lines
from microdemo_orders.changing import Change, Changing
from microdemo_orders.errors import AlreadyExists, ChangedMeanwhile, IllegalTransition, StillSettling
from microdemo_orders.intent import Actor, Intent
from microdemo_orders.machine import STATUS_STEPS, UNDECIDED, Saga, SettableStatus
from microdemo_orders.models import OrderRow
from microdemo_orders.money import sum_of
from microdemo_orders.placing import RESERVED_IDS
from microdemo_orders.repository import Orders, exported
from microdemo_orders.schemas import Item, ItemInput, OrderId, Price, Sku
from microdemo_orders.settling import Settler, raise_if_refused
from microdemo_orders.stock import Line, ReservationRequest, Stock

__all__ = ("EXPORTED", "IMPORT_SECONDS", "ImportedOrder", "OrderImport", "OrderImportReport", "export_rows")

EXPORTED: Final = ("id", "user_id", "total", "status", "items_json", "created_at")
IMPORT_SECONDS: Final = 120.0
_SKUS_AT_ONCE: Final = 1000
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
# Inventory's own route names, which it refuses to create as SKUs.
_UNUSABLE_SKUS: Final = frozenset(
    {"analytics", "by-sku", "export", "healthz", "import", "metrics", "readyz", "reservations", "schema", "version"}
)


class ImportedItem(Struct, frozen=True):
    sku: Sku
    quantity: Annotated[int, Meta(ge=1, le=10_000)]
    price: Price


class ImportedOrder(Struct, frozen=True, kw_only=True):
    """A row. Without ``created_at`` a new order is from now, and a stored one keeps its own."""

    id: OrderId
    user_id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    total: Price
    status: SettableStatus
    items_json: Annotated[list[ImportedItem], Meta(min_length=1, max_length=100)]
    created_at: Annotated[datetime, Meta(tz=True)] | None = None


class OrderImportReport(ImportReport, frozen=True, kw_only=True):
    """``inventory_created_count`` counts SKUs that inventory did not know; they have no stock and no price."""

    inventory_created_count: int = 0


class _Clean(Struct, frozen=True):
    """A row that makes sense by itself."""

    line: int
    row: ImportedOrder
    lines: list[Line]

    @property
    def items(self) -> list[Item]:
        return [Item(line.sku, line.quantity, line.price) for line in self.lines]


async def export_rows(database: Database, user_id: int | None) -> AsyncIterator[tuple[object, ...]]:
    """Newest first; of one user, or of all."""
    async for order in exported(database, user_id):
        yield order.id, order.user_id, order.total, order.status, order.items, order.created_at


class OrderImport:
    """One file, on behalf of one admin."""

    def __init__(self, database: Database, settler: Settler, changing: Changing, stock: Stock, actor: Actor) -> None:
        self._database = database
        self._settler = settler
        self._changing = changing
        self._stock = stock
        self._actor = actor
        self._seen: dict[str, int] = {}
        self._new_skus: set[str] = set()
        self._created = self._updated = self._unchanged = 0

    async def run(self, upload: UploadFile, *, dry_run: bool) -> OrderImportReport:
        """Raises: Problem for the file as a whole, and PeerProblem while inventory cannot tell its SKUs."""
        # A file with too many rows must be refused before its first row is imported.
        async for _ in (await read_upload(upload, ImportedOrder)).batches():
            pass
        reader = await read_upload(upload, ImportedOrder)
        async for batch in reader.batches():
            rows = [clean for row in batch if (clean := self._clean(reader, row))]
            if rows:
                await self._import(reader, rows, dry_run=dry_run)
        return reader.report(
            OrderImportReport,
            created_count=self._created,
            updated_count=self._updated,
            skipped_count=self._unchanged,
            inventory_created_count=len(self._new_skus),
            dry_run=dry_run,
        )

    def _clean(self, reader: CsvReader[ImportedOrder], entry: Row[ImportedOrder]) -> _Clean | None:
        line, row = entry
        if row.created_at is not None and not _EARLIEST <= row.created_at < _LATEST:
            reader.reject(line, "created_at", f"should be between {_EARLIEST.year} and {_LATEST.year}")
            return None
        first = self._seen.setdefault(row.id, line)
        if first != line or row.id in RESERVED_IDS:
            reader.reject(line, "id", "has another meaning here" if first == line else f"is in line {first} already")
            return None
        try:
            merged = lines.merge([ItemInput(item.sku, item.quantity, item.price) for item in row.items_json])
            total = lines.stated_total(row.total)
        except Invalid as error:
            reader.reject(line, "total" if "total" in str(error.detail) else "items_json", str(error.detail))
            return None
        if unusable := [item.sku for item in merged if item.sku in _UNUSABLE_SKUS]:
            reader.reject(line, "items_json", f"{unusable[0]} can be no SKU")
            return None
        if total != sum_of(merged):
            reader.reject(line, "total", f"the lines sum to {sum_of(merged)}, not to {total}")
            return None
        return _Clean(line, row, merged)

    async def _import(self, reader: CsvReader[ImportedOrder], rows: list[_Clean], *, dry_run: bool) -> None:
        async with self._database.unit_of_work(read_only=True) as work:
            stored = await Orders(work).get_all([row.row.id for row in rows])
        # Lines that are stored already need no SKU, which may have been deleted since.
        asked = [row for row in rows if not _has_lines_of(stored.get(row.row.id), row)]
        await self._know_skus(sorted({line.sku for row in asked for line in row.lines}), dry_run=dry_run)
        history: list[_Clean] = []
        for row in rows:
            order = stored.get(row.row.id)
            try:
                if order is not None and order.saga not in ("rejected", "failed"):
                    await self._update(order, row, dry_run=dry_run)
                elif dry_run:
                    self._created += 1
                elif order is None and row.row.status not in ("pending", "processing"):
                    history.append(row)
                else:
                    await self._place(row)
            except Problem as error:
                reader.reject(row.line, None, str(error.detail))
        if history:
            await self._remember(reader, history)

    async def _know_skus(self, skus: list[str], *, dry_run: bool) -> None:
        for start in range(0, len(skus), _SKUS_AT_ONCE):
            some = skus[start : start + _SKUS_AT_ONCE]
            if dry_run:
                known = await self._stock.prices(some, acting_for=self._actor.user_id)
                self._new_skus |= set(some) - set(known)
            else:
                self._new_skus |= set(await self._stock.create_missing(some, acting_for=self._actor.user_id))

    async def _remember(self, reader: CsvReader[ImportedOrder], rows: list[_Clean]) -> None:
        """New orders that take no stock, all in one transaction."""
        async with self._database.unit_of_work() as work:
            values = [{**_values(row), "status": row.row.status, "saga": "none", "version": 1} for row in rows]
            orders = await Orders(work).insert_history(values)
            event = {order.id: events.imported(order.status, self._actor, is_new=True) for order in orders}
            await Orders(work).record(*event.items())
        self._created += len(orders)
        for row in rows:
            if row.row.id not in event:
                reader.reject(row.line, "id", "somebody created this order while the import ran")

    async def _place(self, row: _Clean) -> None:
        """An order that takes stock, or comes where a refused one has left its id."""
        status, values = row.row.status, _values(row)
        if status in ("pending", "processing"):
            intent = Intent(
                request=ReservationRequest(lines=row.lines, prices="as_stated", total=sum_of(row.lines)),
                status=status,
                user_id=row.row.user_id,
                actor=self._actor,
                created_at=row.row.created_at,
                is_import=True,
            )
            placed = await self._insert("placing", status="pending", intent=intent, attempts=1, **values)
            settled = await self._settler.begin(placed)
            if settled.epoch != placed.epoch:
                raise AlreadyExists(row.row.id)
            raise_if_refused(settled)
            if settled.saga in UNDECIDED:
                raise StillSettling
        else:
            told = [events.imported(status, self._actor, is_new=True)]
            await self._insert("none", told, status=status, version=1, **values)
        self._created += 1

    async def _insert(self, saga: Saga, told: Sequence[events.Event] = (), **values: Any) -> OrderRow:
        async with self._database.single_statement() as work:
            order = await Orders(work).insert(saga, told, **values)
        if order is None:
            raise AlreadyExists(values["id"])
        return order

    async def _update(self, order: OrderRow, row: _Clean, *, dry_run: bool) -> None:
        change = plan_import(order, row.row, row.lines)
        if change is None:
            self._unchanged += 1
            return
        if not dry_run:
            updated = await self._changing.apply(order, change, self._actor, prices="as_stated")
            if updated is None:
                raise ChangedMeanwhile
            if updated.saga in UNDECIDED:
                raise StillSettling
        self._updated += 1


def _has_lines_of(order: OrderRow | None, row: _Clean) -> bool:
    return order is not None and order.saga not in ("rejected", "failed") and lines.are_equal(row.lines, order.items)


def plan_import(order: OrderRow, row: ImportedOrder, wanted: list[Line]) -> Change | None:
    """What a row changes in a stored order, None for nothing. Raises: Problem."""
    if order.deleted_at is not None:
        raise AlreadyExists(order.id)
    if order.saga in (*UNDECIDED, "releasing", "selling"):
        raise StillSettling
    created_at = row.created_at or order.created_at
    same_lines = lines.are_equal(wanted, order.items)
    if same_lines and (row.user_id, row.status, created_at) == (order.user_id, order.status, order.created_at):
        return None
    if row.status != order.status and row.status not in STATUS_STEPS[order.status]:
        raise IllegalTransition(order.status, row.status)
    if not same_lines and order.saga == "sold":
        raise Invalid.field("items_json", "its pieces are sold, so its lines cannot change")
    return Change(
        status=row.status,
        user_id=row.user_id,
        lines=None if same_lines else wanted,
        created_at=created_at,
        is_import=True,
    )


def _values(row: _Clean) -> dict[str, Any]:
    values = {"id": row.row.id, "user_id": row.row.user_id, "items": row.items, "total": sum_of(row.lines)}
    return values if row.row.created_at is None else {**values, "created_at": row.row.created_at}
