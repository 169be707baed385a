from collections.abc import Awaitable, Callable

import msgspec
import pytest
from litestar.datastructures import UploadFile

from microdemo_core.csv import ImportReport, Limits, read_upload

Outcome = tuple[list[tuple[int, msgspec.Struct]], ImportReport]
Read = Callable[..., Awaitable[Outcome]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def read() -> Read:
    """Reads bytes or text to the end: good rows with their lines, and the report."""

    async def read_all(
        content: bytes | str, schema: type[msgspec.Struct], *, size: int = 500, limits: Limits | None = None
    ) -> Outcome:
        data = content.encode() if isinstance(content, str) else content
        upload = UploadFile("text/csv", "rows.csv", file_data=data)
        try:
            reader = await read_upload(upload, schema, limits=limits)
            rows = [(row.line, row.value) async for batch in reader.batches(size) for row in batch]
            return rows, reader.report(ImportReport)
        finally:
            await upload.close()

    return read_all
