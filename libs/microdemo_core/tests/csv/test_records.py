import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microdemo_core.csv.limits import Limits
from microdemo_core.csv.lines import physical_lines
from microdemo_core.csv.records import Record, read_records


def records(data: bytes, limits: Limits | None = None) -> list[Record]:
    limits = limits or Limits()
    return list(read_records(physical_lines(io.BytesIO(data), max_bytes=limits.record_bytes), limits))


class Trickle(io.BytesIO):
    """Gives one byte at a time, so that every line end is cut in two."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1 if size else 0)


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", "é".encode(), b"\x0b", b"\x85", b"\xff", b""])).map(b"".join)
)
@settings(deadline=None)
def test_lines_do_not_depend_on_how_the_file_is_read(data: bytes) -> None:
    """One byte at a time or at once, the lines are the same and add up to the file."""
    lines = list(physical_lines(io.BytesIO(data), max_bytes=1000))
    assert list(physical_lines(Trickle(data), max_bytes=1000)) == lines
    assert "".join(line.text or "" for line in lines).encode(errors="surrogateescape") == data
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))


def test_a_line_that_is_too_long_is_dropped_and_counted() -> None:
    """The lines around a huge one keep their numbers, and it is not held in memory."""
    lines = list(physical_lines(io.BytesIO(b"a\n" + b"x" * 300_000 + b"\r\nb\n"), max_bytes=1000))
    assert [(line.number, line.text) for line in lines] == [(1, "a\n"), (2, None), (3, "b\n")]


def test_a_record_has_the_line_where_it_begins() -> None:
    """Quoted newlines and all three line ends count as an editor counts them."""
    found = records(b'a,b\r\n"1\n2\r3\r\n4",x\rlast,y')
    assert [(record.line, record.cells) for record in found] == [
        (1, ["a", "b"]),
        (2, ["1\n2\r3\r\n4", "x"]),
        (6, ["last", "y"]),
    ]


def test_a_quote_that_is_never_closed_spoils_one_row_only() -> None:
    """The rows behind it are read all the same."""
    found = records(b'a,b\n1,"x\n2,y\n3,"z"\n')
    assert [(record.line, record.cells) for record in found if not record.flaw] == [
        (1, ["a", "b"]),
        (3, ["2", "y"]),
        (4, ["3", "z"]),
    ]
    (flaw,) = [record for record in found if record.flaw]
    assert flaw.line == 2
    assert "quote" in str(flaw.flaw)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (b'"a"b,c', "closing quote"),
        (b'"a', "never closed"),
        (b'"' + b"x" * 140_000 + b'"', "too long"),
        (b"x" * 2**21, "longer"),
    ],
)
def test_each_flaw_has_a_reason(row: bytes, word: str) -> None:
    """A row that cannot be read says why, and the next one is good."""
    found = records(b"ok\n" + row + b"\nnext\n")
    assert [record.cells for record in found if not record.flaw] == [["ok"], ["next"]]
    assert [(record.line, word in str(record.flaw)) for record in found if record.flaw] == [(2, True)]


def test_reading_again_has_a_budget() -> None:
    """Where every line leaves a quote open, lines are read again until the budget is used up; none goes unnoticed."""
    found = records(b'a","b\n' * 2_000, Limits(file_bytes=30_000))
    # Each attempt reads some 12,000 characters to the end of the file: two may be repeated, the third is final.
    assert [record.line for record in found] == [1, 2, 3]
    assert all(record.flaw for record in found)
    assert "lines 3 to 2000 are left out" in str(found[2].flaw)


@given(st.binary() | st.text(alphabet='",\n\r a\x00').map(str.encode))
@settings(deadline=None)
def test_any_bytes_are_records_or_flaws(data: bytes) -> None:
    """No input raises, and lines only ever increase."""
    found = [record.line for record in records(data)]
    assert found == sorted(set(found))
