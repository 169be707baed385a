"""What an import answers: how many rows went where, and what was wrong with the others."""

import msgspec

__all__ = ("ImportReport", "RowError")


class RowError(msgspec.Struct, frozen=True):
    """``line`` is the one an editor shows for the row's beginning; ``column`` is None where the whole row is wrong."""

    line: int
    column: str | None
    reason: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.column is None else f"line {self.line}, {self.column}"
        return f"{where}: {self.reason}"


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of ``POST /import/csv``; a service subclasses it to count more. See :meth:`CsvReader.report`.

    ``skipped_count`` holds rejected rows and unchanged ones. ``errors`` says ``row_errors`` once more, as the first
    version of the API did. ``unlisted_error_count`` is what did not fit into either.
    """

    created_count: int = 0
    updated_count: int = 0
    skipped_count: int = 0
    errors: list[str] = []
    row_errors: list[RowError] = []
    unlisted_error_count: int = 0
    dry_run: bool = False
