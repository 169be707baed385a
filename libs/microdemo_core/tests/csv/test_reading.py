import datetime as dt
import io
import tracemalloc
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar.datastructures import UploadFile
from msgspec import Meta

from microdemo_core.csv import CsvReader, ImportReport, Limits, read_upload
from microdemo_core.problems import Invalid, PayloadTooLarge, Problem, UnsupportedMediaType

pytestmark = pytest.mark.anyio


class Line(msgspec.Struct, frozen=True):
    sku: str
    quantity: Annotated[int, Meta(ge=1, le=10_000)]


class Everything(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=20)]
    email: Annotated[str, Meta(pattern="@", examples=["bob@example.com"])] = "none@example.com"
    quantity: Annotated[int, Meta(ge=0, le=1000)] = 7
    price: Decimal | None = None
    ratio: Annotated[float, Meta(gt=0)] = 1.0
    is_active: bool = True
    role: Literal["user", "admin"] = "user"
    created_at: dt.datetime | None = None
    items: list[Line] = []
    anything: list[Any] = []


class Pair(msgspec.Struct, frozen=True):
    name: str
    email: str


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("quantity", "5", 5),
        ("quantity", " 005 ", 5),
        ("quantity", "+5", 5),
        ("quantity", "5.0", 5),
        ("quantity", "'0", None),
        ("price", "9.90", Decimal("9.90")),
        ("price", "'-9.90", Decimal("-9.90")),
        ("price", "1e2", Decimal(100)),
        ("ratio", "+0.5", 0.5),
        ("is_active", "No", False),
        ("is_active", "TRUE", True),
        ("is_active", "yes", True),
        ("is_active", "0", False),
        ("role", " admin", "admin"),
        ("created_at", "2026-01-31T09:30:00Z", dt.datetime(2026, 1, 31, 9, 30, tzinfo=dt.UTC)),
        ("email", "'=a@b", "=a@b"),
        ("email", " a@b ", " a@b "),
        ("items", '"[{""sku"":""A"",""quantity"":2}]"', [Line("A", 2)]),
        ("quantity", "", 7),
        ("price", "", None),
    ],
)
async def test_a_cell_becomes_its_columns_type(read: Any, column: str, cell: str, value: object) -> None:
    """Text is read as the field's type; an empty cell of an optional column leaves the default."""
    rows, report = await read(f"name,{column}\nBob,{cell}\n", Everything)
    if value is None and cell:
        assert report.row_errors
    else:
        assert report.errors == []
        assert getattr(rows[0][1], column) == value


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("quantity", "x", "'x' is not a whole number from 0 to 1,000"),
        ("quantity", "-1", "'-1' is not a whole number from 0 to 1,000"),
        ("quantity", "9" * 5000, "'" + "9" * 39 + "…' is not a whole number from 0 to 1,000"),
        ("price", "nan", "'nan' is not a number such as 9.90"),
        ("price", "1e999", "'1e999' is not a number such as 9.90"),
        ("price", "1_0", "'1_0' is not a number such as 9.90"),
        ("ratio", "inf", "'inf' is not a number above 0"),
        ("is_active", "maybe", "'maybe' is not true or false (or yes, no, 1, 0)"),
        ("role", "root", "'root' is not one of admin, user"),
        ("created_at", "5", "'5' is not a date and time such as 2026-01-31T09:30:00Z"),
        ("email", "bob", "'bob' is not text of the form @, for example bob@example.com"),
        ("items", "[", "'[' is not JSON"),
        ("items", "[1]", "this JSON has not the right content: expected `object`, got `int` - at `$[0]`"),
        ("anything", "[" * 9000, "this JSON is nested too deeply"),
        (
            "items",
            '"[{""sku"":""\\u0000"",""quantity"":2}]"',
            "this holds a NUL character (\\u0000), which cannot be stored",
        ),
        ("email", "a@\0b", "this holds a NUL character, which cannot be stored"),
        ("email", b"\xff@b", "this has bytes that are not UTF-8; save the file as CSV UTF-8"),
    ],
)
async def test_a_bad_cell_says_what_would_be_right(read: Any, column: str, cell: str | bytes, reason: str) -> None:
    """The row is rejected with line, column and a sentence; the rows around it are kept."""
    raw = cell.encode() if isinstance(cell, str) else cell
    rows, report = await read(b"name,%s\nBob,\nEve,%s\nZoe,\n" % (column.encode(), raw), Everything)
    assert [(line, row.name) for line, row in rows] == [(2, "Bob"), (4, "Zoe")]
    (error,) = report.row_errors
    assert (error.line, error.column, error.reason) == (3, column, reason)
    assert report.errors == [f"line 3, {column}: {reason}"]
    assert report.skipped_count == 1


async def test_every_bad_cell_of_a_row_is_reported(read: Any) -> None:
    """Two wrong cells are two errors, and one skipped row."""
    rows, report = await read("name,quantity,role\n,x,root\n", Everything)
    assert rows == []
    assert report.errors == [
        "line 2, name: this is empty; it should be text of 1 to 20 characters",
        "line 2, quantity: 'x' is not a whole number from 0 to 1,000",
        "line 2, role: 'root' is not one of admin, user",
    ]
    assert report.skipped_count == 1


async def test_ragged_rows_are_reported_with_both_counts(read: Any) -> None:
    """Too few or too many cells reject the row, and blank lines are nothing."""
    rows, report = await read("name,email\na\n\nb,b@x,c\n,\nd,d@x\n", Pair)
    assert rows == [(6, Pair("d", "d@x"))]
    assert report.errors == [
        "line 2: this row has 1 cell, but the header names 2 columns",
        "line 4: this row has 3 cells, but the header names 2 columns",
    ]


async def test_lines_are_an_editors_also_after_quoted_newlines(read: Any) -> None:
    """A cell over several lines moves the following line numbers along."""
    rows, report = await read('name,quantity\n"a\nb\r\nc",1\nd,x\ne,2\n', Everything)
    assert [line for line, _ in rows] == [2, 6]
    assert report.row_errors[0].line == 5


async def test_headers_match_in_any_case_and_order_and_strangers_are_ignored(read: Any) -> None:
    """A byte order mark, other capitals, blanks and unknown columns do no harm."""
    rows, report = await read("\ufeff Email ,Shoe size,NAME\nb@x,\0,Bob\n", Pair)
    assert rows == [(2, Pair("Bob", "b@x"))]
    assert report.errors == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty: it should begin with the header name,email."),
        (b"\xef\xbb\xbf\r\n\n", "The file is empty: it should begin with the header name,email."),
        (b"name,phone\n", "The header has no column email. The columns are name,email."),
        (b"x\n", "The header has no columns name, email. The columns are name,email."),
        (b"name;email\n", "The file seems to be separated by semicolons; commas are needed."),
        (b"name,email,Name\n", "The header names the column name twice."),
        (b'"name,email\n', "The header in line 1 cannot be read: a quoted cell begins here and is never closed"),
        (b"name,em\xffail\n", "it is not UTF-8"),
        (b"name" + b"," * 200, "The header names 201 columns; at most 100 are read."),
        ("name,email\n".encode("utf-16"), "The file is UTF-16."),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_as_a_whole(read: Any, content: bytes, sentence: str) -> None:
    """Without a usable header there is no import: 422 on the field ``file`` with a sentence."""
    with pytest.raises(Invalid) as caught:
        await read(content, Pair)
    assert sentence in caught.value.detail


async def test_a_workbook_is_no_csv(read: Any) -> None:
    """An xlsx sent by mistake is a 415 that says how to save it."""
    with pytest.raises(UnsupportedMediaType, match="Save it as CSV"):
        await read(b"PK\x03\x04" + bytes(100), Pair)


async def test_each_limit_has_its_own_sentence(read: Any) -> None:
    """Bytes and rows stop the import, a long cell only its row."""
    with pytest.raises(PayloadTooLarge, match="larger than"):
        await read("name,email\n" + "a,b\n" * 10, Pair, limits=Limits(file_bytes=20))
    with pytest.raises(PayloadTooLarge, match=r"more than 3 rows \(line 5\)"):
        await read("name,email\n" + "a,b\n" * 4, Pair, limits=Limits(rows=3))
    rows, _ = await read("name,email\n" + "a,b\n" * 3, Pair, limits=Limits(rows=3))
    assert len(rows) == 3
    rows, report = await read("name,email\nabcde,b\na,b\n", Pair, limits=Limits(cell_characters=4))
    assert len(rows) == 1
    assert "this has 5 characters" in report.errors[0]


async def test_errors_beyond_the_limit_are_counted(read: Any) -> None:
    """The report stays small whatever the file, and says how much it leaves out."""
    _, report = await read("name,quantity\n" + "a,x\n" * 5, Everything, limits=Limits(listed_errors=2))
    assert len(report.row_errors) == 2
    assert report.errors[-1] == "and 3 more that are not listed"
    assert (report.unlisted_error_count, report.skipped_count) == (3, 5)


async def test_a_struct_may_refuse_a_row_as_a_whole(read: Any) -> None:
    """What ``__post_init__`` says is the reason, without a column."""

    class Range(msgspec.Struct):
        low: int
        high: int

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high")

    rows, report = await read("low,high\n2,1\n1,2\n", Range)
    assert [line for line, _ in rows] == [3]
    assert report.errors == ["line 2: low is above high"]


async def test_a_service_adds_its_own_errors_and_counts() -> None:
    """Its rejections stand among the others in the file's order, in a report of its own class."""

    class OrderImportReport(ImportReport, frozen=True, kw_only=True):
        inventory_created_count: int = 0

    upload = UploadFile("text/csv", "x.csv", file_data=b"name,quantity\na,1\nb,x\nc,1\n")
    reader = await read_upload(upload, Everything)
    async for batch in reader.batches():
        reader.reject(batch[0].line, "name", "is taken")
    await upload.close()
    report = reader.report(OrderImportReport, created_count=1, skipped_count=1, inventory_created_count=2, dry_run=True)
    assert [error.line for error in report.row_errors] == [2, 3]
    assert report.skipped_count == 3
    assert msgspec.to_builtins(report) == {
        "created_count": 1,
        "updated_count": 0,
        "skipped_count": 3,
        "errors": report.errors,
        "row_errors": [msgspec.to_builtins(error) for error in report.row_errors],
        "unlisted_error_count": 0,
        "dry_run": True,
        "inventory_created_count": 2,
    }


async def test_batches_are_at_most_as_large_as_asked(read: Any) -> None:
    """Ten rows by three are four batches, and a batch of bad rows only is left out."""
    upload = UploadFile("text/csv", "x.csv", file_data=b"name,quantity\n" + b"a,1\n" * 7 + b"b,x\n" * 3)
    reader = await read_upload(upload, Everything)
    assert [len(batch) async for batch in reader.batches(3)] == [3, 3, 1]
    await upload.close()
    assert reader.report(ImportReport).skipped_count == 3


class Endless(io.RawIOBase):
    """A file of ``count`` equal rows that is made while it is read."""

    def __init__(self, header: bytes, row: bytes, count: int) -> None:
        self._header, self._row, self._count = header, row, count
        self._at = 0

    def seek(self, _offset: int, whence: int = 0, /) -> int:
        self._at = 0
        return len(self._row) * self._count if whence else 0

    def read(self, size: int = -1, /) -> bytes:
        if not self._at:
            self._at = 1
            return self._header
        if self._at > self._count:
            return b""
        rows = min(size // len(self._row), self._count + 1 - self._at)
        self._at += rows
        return self._row * rows


async def test_memory_does_not_grow_with_the_file() -> None:
    """A file of 8 MB passes through well below its own size."""
    row = b"somebody,5,9.90,some text that makes the row longer%s\n" % (b"x" * 200)
    file = Endless(b"name,quantity,price,comment\n", row, 32_000)
    tracemalloc.start()
    reader = CsvReader(file, Everything, Limits())  # type: ignore[arg-type]  # has the two methods that are used
    before = tracemalloc.get_traced_memory()[0]
    count = 0
    async for batch in reader.batches():
        count += len(batch)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert count == 32_000
    assert peak < 2**21


wild = st.binary(max_size=300) | st.text(alphabet="\",\n\r\x00a1é\ud800=[{'", max_size=300).map(
    lambda text: text.encode(errors="surrogatepass")
)


@given(body=wild, has_header=st.booleans())
@settings(deadline=None, max_examples=300)
async def test_no_bytes_raise_anything_but_a_problem(read: Any, body: bytes, has_header: bool) -> None:
    """Whatever is uploaded, the answer is rows, row errors or a problem."""
    header = b"name,quantity,price,is_active,items,created_at\n" if has_header else b""
    try:
        _, report = await read(header + body, Everything)
    except Problem as problem:
        answer: object = problem.detail
    else:
        answer = report
    assert msgspec.json.encode(answer)


cells = st.text(alphabet="'=+-@\t\r\n \",1a[é") | st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@given(
    cell=cells,
    column=st.sampled_from(["name", "email", "quantity", "price", "ratio", "is_active", "role", "items", "created_at"]),
)
@settings(deadline=None, max_examples=300)
async def test_no_cell_raises(read: Any, cell: str, column: str) -> None:
    """Any text in any kind of column is a value or a reason."""
    quoted = '"' + cell.replace('"', '""') + '"'
    header, row = ("name", quoted) if column == "name" else (f"name,{column}", f"Bob,{quoted}")
    rows, report = await read(f"{header}\n{row}\n", Everything)
    assert len(rows) + len(report.row_errors) == 1
