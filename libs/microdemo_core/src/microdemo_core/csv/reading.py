"""An uploaded CSV file as typed rows, batch by batch; what is wrong with the others is collected on the way.

    reader = await read_upload(upload, UserRow)
    async for batch in reader.batches():
        for line, row in batch:
            ...                                  # or: reader.reject(line, "email", "is twice in this file")
    return reader.report(ImportReport, created_count=created, updated_count=updated)

Reading, decoding and conversion run in a worker thread, one batch at a time. Litestar spools uploads over 1 MB to
disk, where a read blocks; and 500 rows are some 10 ms of work, which on the event loop every other request would
wait for, while a thread shares the interpreter.
"""

import os
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any, BinaryIO, Final, Generic, NamedTuple, TypeVar, cast

import msgspec
from anyio import to_thread
from litestar.datastructures import UploadFile

from microdemo_core.csv.columns import CellError, Column, columns_of
from microdemo_core.csv.formulas import restore
from microdemo_core.csv.limits import Limits
from microdemo_core.csv.lines import physical_lines
from microdemo_core.csv.records import Record, read_records
from microdemo_core.csv.report import ImportReport, RowError
from microdemo_core.problems import FieldError, Invalid, PayloadTooLarge, UnsupportedMediaType

__all__ = ("CsvReader", "Row", "read_upload")

# Blank lines before it are passed over, but not twenty million of them.
_HEADER_WITHIN: Final = 100

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R", bound=ImportReport)


class Row(NamedTuple, Generic[T]):
    line: int
    value: T


async def read_upload(upload: UploadFile, schema: type[T], *, limits: Limits | None = None) -> "CsvReader[T]":
    """Reads the header. Columns are the fields of ``schema`` by name, in any case and order; others are ignored.

    Raises:
        PayloadTooLarge: more bytes than the limit.
        UnsupportedMediaType: a spreadsheet's own format instead of CSV.
        Invalid: an empty file, another encoding than UTF-8, an unreadable header, or a required column missing.
    """
    # SpooledTemporaryFile is what Litestar's class holds, and has what BinaryIO promises.
    file = cast("BinaryIO", upload.file)
    return await to_thread.run_sync(CsvReader[T], file, schema, limits or Limits())


class CsvReader(Generic[T]):
    """One pass over a file. Good rows come from :meth:`batches`, the count of the bad ones from :meth:`report`."""

    def __init__(self, file: BinaryIO, schema: type[T], limits: Limits) -> None:
        """Blocks: reads the beginning of the file."""
        self._schema = schema
        self._limits = limits
        self._errors: list[RowError] = []
        self._unlisted = 0
        self._rejected: set[int] = set()
        self._seen = 0
        _check_file(file, limits)
        self._records = read_records(physical_lines(file, max_bytes=limits.record_bytes), limits)
        self._columns, self._width = self._read_header()

    async def batches(self, size: int = 500) -> AsyncIterator[list[Row[T]]]:
        """Good rows, ``size`` at most; a batch without any is left out.

        Raises:
            PayloadTooLarge: more rows than the limit, noticed when they are reached: the caller's unit of work
                must roll back what came before.
        """
        more = True
        while more:
            more, batch = await to_thread.run_sync(self._next_batch, size)
            if batch:
                yield batch

    def reject(self, line: int, column: str | None, reason: str) -> None:
        """Adds what only the service can know, such as the same email twice in one file."""
        self._rejected.add(line)
        if len(self._errors) < self._limits.listed_errors:
            self._errors.append(RowError(line, column, reason))
        else:
            self._unlisted += 1

    def report(self, kind: type[R], **members: Any) -> R:
        """``kind(**members)`` with the errors in the file's order; rejected rows are added to ``skipped_count``."""
        found = sorted(self._errors, key=lambda error: error.line)
        errors = [str(error) for error in found]
        if self._unlisted:
            errors.append(f"and {self._unlisted:,} more that are not listed")
        members["skipped_count"] = members.get("skipped_count", 0) + len(self._rejected)
        return kind(errors=errors, row_errors=found, unlisted_error_count=self._unlisted, **members)

    def _read_header(self) -> tuple[list[tuple[int, Column]], int]:
        columns = columns_of(self._schema)
        first = islice(self._records, _HEADER_WITHIN)
        header = next((record for record in first if record.flaw or any(record.cells)), None)
        expected = ",".join(column.name for column in columns)
        if header is None:
            raise _unreadable(f"The file is empty: it should begin with the header {expected}.")
        if header.flaw or not header.is_utf8:
            flaw = header.flaw or "it is not UTF-8; save the file as CSV UTF-8"
            raise _unreadable(f"The header in line {header.line} cannot be read: {flaw}.")
        if len(header.cells) > self._limits.columns:
            raise _unreadable(f"The header names {len(header.cells)} columns; at most {self._limits.columns} are read.")
        return _match(header.cells, columns, expected), len(header.cells)

    def _next_batch(self, size: int) -> tuple[bool, list[Row[T]]]:
        batch = []
        records = list(islice(self._records, size))
        for record in records:
            self._seen += 1
            if self._seen > self._limits.rows:
                raise PayloadTooLarge(
                    f"The file has more than {self._limits.rows:,} rows (line {record.line}). "
                    "Nothing was imported: split it and import the parts one after the other."
                )
            if record.flaw:
                self.reject(record.line, None, record.flaw)
            elif any(record.cells) or len(record.cells) == self._width == 1:
                # A line of nothing but commas is what spreadsheets write for an empty row.
                row = self._convert(record)
                if row is not None:
                    batch.append(Row(record.line, row))
        return len(records) == size, batch

    def _convert(self, record: Record) -> T | None:
        if len(record.cells) != self._width:
            names, cells = _count(self._width, "column"), _count(len(record.cells), "cell")
            self.reject(record.line, None, f"this row has {cells}, but the header names {names}")
            return None
        values: dict[str, Any] = {}
        is_good = True
        for index, column in self._columns:
            cell = restore(record.cells[index])
            if not cell and not column.required:
                continue
            try:
                self._check_cell(cell, is_utf8=record.is_utf8)
                values[column.field] = column.value(cell)
            except CellError as error:
                self.reject(record.line, column.name, str(error))
                is_good = False
        if not is_good:
            return None
        try:
            return self._schema(**values)
        except ValueError as error:  # what __post_init__ raises, as msgspec asks of it
            self.reject(record.line, None, str(error))
            return None

    def _check_cell(self, cell: str, *, is_utf8: bool) -> None:
        if len(cell) > self._limits.cell_characters:
            raise CellError(
                f"this has {len(cell):,} characters; a cell may have {self._limits.cell_characters:,} (or is a "
                "closing quote missing?)"
            )
        if "\0" in cell:
            raise CellError("this holds a NUL character, which cannot be stored")
        if not is_utf8 and any("\udc80" <= character <= "\udcff" for character in cell):
            raise CellError("this has bytes that are not UTF-8; save the file as CSV UTF-8")


def _check_file(file: BinaryIO, limits: Limits) -> None:
    if file.seek(0, os.SEEK_END) > limits.file_bytes:
        raise PayloadTooLarge(f"The file is larger than {limits.file_bytes / 2**20:g} MB; split it.")
    file.seek(0)
    beginning = file.read(4)
    file.seek(0)
    if beginning in {b"PK\x03\x04", b"\xd0\xcf\x11\xe0"}:  # zip (xlsx, ods) and OLE (xls)
        raise UnsupportedMediaType("This is a spreadsheet's own format. Save it as CSV UTF-8 and send that file.")
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _unreadable("The file is UTF-16. Save it as CSV UTF-8 and send that file.")


def _match(cells: list[str], columns: tuple[Column, ...], expected: str) -> list[tuple[int, Column]]:
    positions: dict[str, int] = {}
    known = {column.name.casefold() for column in columns}
    for index, cell in enumerate(cells):
        name = cell.strip().casefold()
        if name in known and positions.setdefault(name, index) != index:
            raise _unreadable(f"The header names the column {name} twice.")
    missing = [column.name for column in columns if column.required and column.name.casefold() not in positions]
    if missing:
        hint = " The file seems to be separated by semicolons; commas are needed." if ";" in "".join(cells) else ""
        names = f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        raise _unreadable(f"The header has no {names}. The columns are {expected}.{hint}")
    return [(positions[name], column) for column in columns if (name := column.name.casefold()) in positions]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _unreadable(sentence: str) -> Invalid:
    return Invalid(sentence, errors=[FieldError("file", sentence)])
