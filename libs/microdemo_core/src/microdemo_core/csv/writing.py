"""Rows as a CSV file that is sent while it is read: memory holds one batch, whatever the number of rows."""

import csv
import io
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Final

import msgspec
from litestar.response import Stream

from microdemo_core.csv.formulas import neutralise
from microdemo_core.csv.streaming import OwnedStream

__all__ = ("CsvRow", "csv_response", "encode_cell")

# 500 rows are some 50 KB and 2 to 4 ms of work, which the event loop can spare.
_ROWS_PER_CHUNK: Final = 500
_FILENAME: Final = re.compile(r"[A-Za-z0-9._-]+")

CsvRow = Sequence[object] | msgspec.Struct


def csv_response(
    filename: str, columns: Sequence[str], rows: AsyncIterator[CsvRow], *, rows_per_chunk: int = _ROWS_PER_CHUNK
) -> Stream:
    """``rows`` are structs with an attribute per column, or sequences in the columns' order.

    They are read after the handler has returned, when its unit of work is closed: ``rows`` must open its own. Let it
    read page by page by key, a short read-only unit of work for each, and yield outside it; a reader that holds one
    open is at the mercy of the client's speed, and PostgreSQL ends transactions that idle for too long.

    The first rows are read before the status is sent, so a database that is away is a 503. An error after that
    breaks the connection off: a file that is cut short must not look complete. ``rows`` is closed in any case.
    """
    if not _FILENAME.fullmatch(filename):
        raise ValueError(f"{filename!r} would need escaping in a header")
    return OwnedStream(
        _chunks(columns, rows, rows_per_chunk),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )


def encode_cell(value: object) -> str:
    """Values as they are in our JSON, without quotes around dates; None is empty; lists and objects are JSON text."""
    match value:
        case None | msgspec.UNSET:
            return ""
        case str():
            return neutralise(value)
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal():
            # A spreadsheet may show 1E+3, but who reads it back exactly?
            return neutralise(format(value, "f"))
    plain = msgspec.to_builtins(value)
    return neutralise(plain if isinstance(plain, str) else msgspec.json.encode(value).decode())


async def _chunks(columns: Sequence[str], rows: AsyncIterator[CsvRow], size: int) -> AsyncGenerator[bytes, None]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    cells_of = _cells_of(columns)
    writer.writerow(columns)
    pending = 0
    try:
        async for row in rows:
            writer.writerow(map(encode_cell, cells_of(row)))
            pending += 1
            if pending == size:
                yield _take(buffer)
                pending = 0
        if written := _take(buffer):
            yield written
    finally:
        if isinstance(rows, AsyncGenerator):
            await rows.aclose()


def _take(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def _cells_of(columns: Sequence[str]) -> Callable[[CsvRow], Iterable[object]]:
    attributes = attrgetter(*columns) if len(columns) > 1 else lambda row: (getattr(row, columns[0]),)

    def cells(row: CsvRow) -> Iterable[object]:
        if isinstance(row, msgspec.Struct):
            return attributes(row)
        if len(row) != len(columns):
            raise ValueError(f"a row has {len(row)} cells for {len(columns)} columns")
        return row

    return cells
