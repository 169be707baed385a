import csv
import datetime as dt
import io
from collections.abc import AsyncIterator
from contextvars import ContextVar
from decimal import Decimal
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar, get
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream
from litestar.testing import AsyncTestClient

from microdemo_core.csv import (
    MAX_BODY_BYTES,
    CsvRow,
    ImportReport,
    csv_import_route,
    csv_response,
    read_upload,
)
from microdemo_core.csv.writing import encode_cell
from microdemo_core.errors import exception_handlers
from microdemo_core.problems import Unavailable

pytestmark = pytest.mark.anyio


class Note(msgspec.Struct, frozen=True):
    title: str
    text: str


class Store:
    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.rows_read = 0
        self.closed = 0
        self.error: Exception | None = None
        self.fail_after = 0

    async def rows(self) -> AsyncIterator[CsvRow]:
        reading.set(True)
        try:
            for index, note in enumerate(self.notes):
                if self.error and index >= self.fail_after:
                    raise self.error
                self.rows_read += 1
                yield note
        finally:
            self.closed += 1


reading: ContextVar[bool] = ContextVar("reading", default=False)


def make_app(store: Store) -> Litestar:
    @get("/export/csv", media_type="text/csv")
    async def export() -> Stream:
        return csv_response("notes.csv", ["title", "text"], store.rows())

    @csv_import_route("/import/csv", deadline_seconds=60)
    async def import_(upload: NamedDependency[UploadFile], *, dry_run: FromQuery[bool] = False) -> ImportReport:
        reader = await read_upload(upload, Note)
        found = [row.value async for batch in reader.batches() for row in batch]
        if not dry_run:
            store.notes += found
        return reader.report(ImportReport, created_count=len(found), dry_run=dry_run)

    return Litestar([export, import_], exception_handlers=exception_handlers())


texts = st.text(alphabet="'=+-@\t\r\n \",;1é") | st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")
)


@given(st.lists(st.builds(Note, title=texts.filter(bool), text=texts), max_size=5))
@settings(deadline=None, max_examples=100)
async def test_an_export_can_be_imported(notes: list[Note]) -> None:
    """Over real multipart, what was exported comes back as it was, whatever the texts hold."""
    store = Store()
    store.notes = list(notes)
    async with AsyncTestClient(make_app(store)) as client:
        exported = await client.get("/export/csv")
        store.notes = []
        answer = await client.post("/import/csv", files={"file": ("notes.csv", exported.content)})
    assert answer.status_code == 200
    assert answer.json()["errors"] == []
    assert store.notes == notes


async def test_an_export_is_a_download_that_any_csv_reader_reads() -> None:
    """Type, name and content are what a browser and a spreadsheet expect; formulas are inert."""
    store = Store()
    store.notes = [Note("=1+1", 'a "quoted"\r\nline')]
    async with AsyncTestClient(make_app(store)) as client:
        answer = await client.get("/export/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="notes.csv"'
    assert list(csv.reader(io.StringIO(answer.text, newline=""))) == [
        ["title", "text"],
        ["'=1+1", 'a "quoted"\r\nline'],
    ]
    assert store.closed == 1


async def test_an_empty_export_is_the_header() -> None:
    """No rows are no error."""
    async with AsyncTestClient(make_app(Store())) as client:
        assert (await client.get("/export/csv")).text == "title,text\r\n"


async def test_an_export_reads_only_as_far_as_it_sends() -> None:
    """1,200 rows are three chunks, and none is read before the one before it is sent."""
    store = Store()
    store.notes = [Note("a", "b")] * 1200
    read_when_sent: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            read_when_sent.append(store.rows_read)

    await call(make_app(store), send)
    assert read_when_sent == [500, 1000, 1200]
    assert store.closed == 1
    assert reading.get(), "rows are read in the request's own task, where context variables can be taken back"


async def test_rows_are_closed_when_the_client_leaves() -> None:
    """A connection that the rows hold is given back at once, not when the garbage collector comes."""
    store = Store()
    store.notes = [Note("a", "b")] * 10_000
    left = anyio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            left.set()

    async def receive() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    await call(make_app(store), send, receive)
    assert store.closed == 1
    assert store.rows_read < 10_000


async def test_an_error_before_the_first_row_is_an_ordinary_problem() -> None:
    """The status is sent after the first rows are read, so a database that is away is a 503."""
    store = Store()
    store.notes, store.error = [Note("a", "b")], Unavailable("The database does not answer just now.")
    async with AsyncTestClient(make_app(store)) as client:
        answer = await client.get("/export/csv")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "The database does not answer just now."


async def test_an_error_in_the_middle_never_completes_the_file() -> None:
    """The stream ends without its last message, so that the server breaks the connection off."""
    store = Store()
    store.notes, store.error, store.fail_after = [Note("a", "b")] * 900, RuntimeError("gone"), 700
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(Exception, match="after response started"):
        await call(make_app(store), send)
    assert [message.get("more_body") for message in sent] == [None, True]
    assert store.closed == 1


async def call(app: Litestar, send: Any, receive: Any = anyio.sleep_forever) -> None:
    """The bare ASGI call: a test client buffers the whole answer."""
    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/export/csv",
        "raw_path": b"/export/csv",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"test")],
        "client": ("test", 1),
        "server": ("test", 80),
        "state": {},
        "extensions": {},
    }
    await app(scope, receive, send)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (msgspec.UNSET, ""),
        (True, "true"),
        (-5, "-5"),
        (-0.5, "-0.5"),
        (Decimal("-9.90"), "-9.90"),
        (Decimal("1E+3"), "1000"),
        (dt.datetime(2026, 1, 31, 9, 30, tzinfo=dt.UTC), "2026-01-31T09:30:00Z"),
        ([Note("a", "=b")], '[{"title":"a","text":"=b"}]'),
        ("-5", "-5"),
        ("-x", "'-x"),
    ],
)
def test_cells_are_what_our_json_says(value: object, text: str) -> None:
    """Dates, money and nested values are written as in answers, numbers without an apostrophe."""
    assert encode_cell(value) == text


async def test_rows_may_be_sequences_in_the_columns_order() -> None:
    """A database row needs no struct, but must have a cell per column."""

    async def rows() -> AsyncIterator[CsvRow]:
        yield (1, "x")
        yield ("only one",)

    chunks = csv_response("a.csv", ["id", "name"], rows(), rows_per_chunk=1).iterator
    assert await anext(chunks) == b"id,name\r\n1,x\r\n"  # type: ignore[arg-type]  # typed as any stream's source
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        await anext(chunks)  # type: ignore[arg-type]


async def test_a_large_upload_streams_from_disk() -> None:
    """An upload over Litestar's 1 MB of spool memory is imported all the same, and a dry run keeps nothing."""
    store = Store()
    content = b"title,text\r\n" + b"".join(b"n%d,%s\r\n" % (n, b"x" * 500) for n in range(4_000))
    async with AsyncTestClient(make_app(store)) as client:
        answer = await client.post("/import/csv?dry_run=true", files={"file": ("notes.csv", content)})
        assert answer.json()["created_count"] == 4_000
        assert answer.json()["dry_run"] is True
        assert store.notes == []


PART = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n%s\r\n%s\r\n--x--\r\n'
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        ({"json": {"file": "x"}}, 415, "as multipart/form-data"),
        ({"content": b"a,b", "headers": {"content-type": "text/csv"}}, 415, "as multipart/form-data"),
        ({"content": b"a,b", "headers": {"content-type": "multipart/form-data"}}, 400, "no multipart boundary"),
        ({"content": b"a,b", "headers": MULTIPART}, 400, "no readable multipart"),
        ({"content": PART % (b"file", b"", b"a,b"), "headers": MULTIPART}, 422, "is text: send it as a file"),
        ({"content": PART % (b"note", b"", b"\xff"), "headers": MULTIPART}, 400, "unreadable encoding"),
        (
            {"content": PART % (b"note", b"Content-Type: text/plain; charset=no-such\r\n", b"x"), "headers": MULTIPART},
            400,
            "unreadable encoding",
        ),
        ({"files": {"other": ("a.csv", b"title,text\n")}}, 422, "no part named file"),
        ({"files": [("file", ("a.csv", b"")), ("file", ("b.csv", b""))]}, 422, "Send one CSV file"),
        ({"files": {"file": ("a.csv", b"")}}, 422, "The file is empty"),
        ({"files": {"file": ("a.csv", b"x" * (MAX_BODY_BYTES + 1))}}, 413, "larger than 20 MB"),
        ({"files": {"file": ("a.csv", b"x" * (20 * 2**20 + 1))}}, 413, "larger than 20 MB"),
    ],
)
async def test_a_request_without_a_usable_file_says_so(request_: dict[str, Any], status: int, sentence: str) -> None:
    """Every way to send the file wrongly is a problem document with a sentence, never a 500."""
    async with AsyncTestClient(make_app(Store())) as client:
        answer = await client.post("/import/csv", **request_)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert sentence in answer.json()["detail"]


async def test_other_parts_do_not_disturb() -> None:
    """Only the part named file is read, wherever it stands."""
    store = Store()
    files = [("first", ("a.csv", b"nonsense")), ("file", ("b.csv", b"title,text\na,b\n"))]
    async with AsyncTestClient(make_app(store)) as client:
        answer = await client.post("/import/csv", files=files, data={"note": "x"})
    assert answer.status_code == 200
    assert store.notes == [Note("a", "b")]


def test_openapi_shows_the_file() -> None:
    """The documentation's form has a file to choose, and the export is text/csv."""
    schema = make_app(Store()).openapi_schema.to_schema()
    body = schema["paths"]["/import/csv"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert body["required"] == ["file"]
    assert "text/csv" in schema["paths"]["/export/csv"]["get"]["responses"]["200"]["content"]
