"""CSV import and export, both streamed. Start with :func:`read_upload` and :func:`csv_response`."""

from microdemo_core.csv.formulas import neutralise, restore
from microdemo_core.csv.limits import MAX_BODY_BYTES, Limits
from microdemo_core.csv.reading import CsvReader, Row, read_upload
from microdemo_core.csv.report import ImportReport, RowError
from microdemo_core.csv.upload import csv_import_route
from microdemo_core.csv.writing import CsvRow, csv_response

__all__ = (
    "MAX_BODY_BYTES",
    "CsvReader",
    "CsvRow",
    "ImportReport",
    "Limits",
    "Row",
    "RowError",
    "csv_import_route",
    "csv_response",
    "neutralise",
    "read_upload",
    "restore",
)
