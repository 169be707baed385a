"""Items as CSV.

A file is read to its end before anything is written, then written in SKU order, in small transactions: one large one
would hold the stock of the whole catalogue, and orders would wait for it.

So an import that dies half-way has done a part. Sent again, it passes over what is as the file says, and does the rest.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from microdemo_core.csv import CsvReader, ImportReport, Row
from microdemo_core.db import Database, UnitOfWork
from microdemo_inventory import values
from microdemo_inventory.catalogue import forget
from microdemo_inventory.repository import Contents, ItemRepository, LedgerRepository
from microdemo_inventory.values import Name, Quantity, Sku

__all__ = ("EXPORTED", "IMPORT_SECONDS", "ItemRow", "StockImport", "export_rows")

EXPORTED: Final = ("id", "sku", "qty", "created_at", "name", "price", "updated_at", "version")
IMPORT_SECONDS: Final = 120.0
_STEP: Final = 500
_EXPORT_STEP: Final = 1000

T = TypeVar("T")


class ItemRow(Struct, frozen=True):
    """What is absent stays as it is stored; a new item then has no name and no price."""

    sku: Sku
    qty: Quantity
    name: Name | UnsetType = UNSET
    price: Decimal | UnsetType = UNSET


async def export_rows(database: Database) -> AsyncIterator[Sequence[object]]:
    """Every item by id, in steps, so that no connection waits for a slow reader."""
    last = 0
    while True:
        async with database.unit_of_work(read_only=True) as work:
            rows = await ItemRepository(session=work.session).columns_after(last, EXPORTED, limit=_EXPORT_STEP)
        for row in rows:
            yield row
        if len(rows) < _EXPORT_STEP:
            return
        last = rows[-1][0]


class StockImport:
    """Creates and updates by SKU. Differences in quantity go to the ledger, on behalf of the account ``by``."""

    def __init__(self, database: Database, *, by: int) -> None:
        self._database = database
        self._by = by
        self._created = self._updated = self._unchanged = 0

    async def run(self, reader: CsvReader[ItemRow], *, dry_run: bool) -> ImportReport:
        """A dry run does the very same and takes it back, step by step. Raises: PayloadTooLarge."""
        rows = await _read(reader)
        skus = sorted(rows)
        for start in range(0, len(skus), _STEP):
            async with self._database.unit_of_work() as work:
                await self._write({sku: rows[sku] for sku in skus[start : start + _STEP]}, work)
                if dry_run:
                    await work.session.rollback()
        return reader.report(
            ImportReport,
            created_count=self._created,
            updated_count=self._updated,
            skipped_count=self._unchanged,
            dry_run=dry_run,
        )

    async def _write(self, rows: dict[str, ItemRow], work: UnitOfWork) -> None:
        items, ledger = ItemRepository(session=work.session), LedgerRepository(session=work.session)
        created = {item.sku for item in await items.create_unknown(list(rows))}
        changed: list[Contents] = []
        for stored in await items.lock_contents(list(rows)):
            wanted = _merged(stored, rows[stored.sku])
            if wanted != stored:
                changed.append(wanted)
                ledger.record(stored.id, stored.sku, wanted.qty - stored.qty, "CSV import", by=self._by)
                self._updated += stored.sku not in created
            else:
                self._unchanged += stored.sku not in created
        self._created += len(created)
        await items.replace(changed)
        forget(work, [(item.id, item.sku) for item in changed])


def _merged(stored: Contents, row: ItemRow) -> Contents:
    return stored._replace(
        qty=row.qty,
        name=stored.name if row.name is UNSET else row.name,
        price=stored.price if row.price is UNSET else row.price,
    )


async def _read(reader: CsvReader[ItemRow]) -> dict[str, ItemRow]:
    """Good rows by SKU; of two with one SKU the second is rejected."""
    rows: dict[str, ItemRow] = {}
    lines: dict[str, int] = {}
    async for batch in reader.batches():
        for entry in batch:
            row = _clean(reader, entry)
            if row is None:
                continue
            first = lines.setdefault(row.sku, entry.line)
            if first != entry.line:
                reader.reject(entry.line, "sku", f"this SKU is in line {first} already")
            else:
                rows[row.sku] = row
    return rows


def _clean(reader: CsvReader[ItemRow], entry: Row[ItemRow]) -> ItemRow | None:
    """The row with its values as they are stored; None, and a word to the reader, where one cannot be."""
    line, row = entry
    good = True

    def check(column: str, rule: Callable[[T], T], value: T | UnsetType) -> T | UnsetType:
        nonlocal good
        if value is UNSET:
            return UNSET
        try:
            return rule(value)
        except ValueError as error:
            reader.reject(line, column, str(error))
            good = False
            return UNSET

    check("sku", values.usable_sku, row.sku)
    clean = msgspec.structs.replace(
        row, name=check("name", values.plain_name, row.name), price=check("price", values.price, row.price)
    )
    return clean if good else None
