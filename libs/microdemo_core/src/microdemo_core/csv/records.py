"""CSV records out of lines; one that cannot be read does not take the next ones with it.

A quote that is never closed makes the csv module read on until the file ends. The lines after the broken record's
first one are therefore given back and read again as records of their own. That costs at most one more pass over the
file, however it was made: then the budget is used up, and the lines stay swallowed and are named in the reason.
"""

import csv
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from microdemo_core.csv.limits import Limits
from microdemo_core.csv.lines import Line

__all__ = ("Record", "read_records")


class Record(NamedTuple):
    """Either ``cells`` or ``flaw`` says something; a blank line has neither."""

    line: int
    cells: list[str]
    flaw: str | None = None
    is_utf8: bool = True


class _TooLongError(Exception):
    pass


class _Source:
    """Feeds one record's lines to the csv module, and remembers them to give back."""

    def __init__(self, lines: Iterator[Line], limits: Limits) -> None:
        self._lines = lines
        self._max_bytes = limits.record_bytes
        self._budget = limits.file_bytes
        self._returned: deque[Line] = deque()
        self._size = 0
        self.taken: list[Line] = []

    def __iter__(self) -> "_Source":
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.taken.append(line)
        if line.text is None:
            raise _TooLongError
        self._size += len(line.text)
        if self._size > self._max_bytes:
            raise _TooLongError
        return line.text

    def begin(self) -> None:
        self.taken = []
        self._size = 0

    def give_back(self) -> bool:
        """All lines but the record's first; False where the budget does not allow it."""
        if self._size > self._budget:
            return len(self.taken) == 1
        if len(self.taken) > 1:
            self._budget -= self._size
            self._returned.extendleft(reversed(self.taken[1:]))
        return True


def read_records(lines: Iterator[Line], limits: Limits) -> Iterator[Record]:
    source = _Source(lines, limits)
    reader = csv.reader(source, strict=True)
    while True:
        source.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _TooLongError:
            flaw = f"this row is longer than {limits.record_bytes:,} bytes; is a closing quote missing?"
        except csv.Error as error:
            flaw = _explain(error)
        else:
            is_utf8 = all(line.is_utf8 for line in source.taken)
            yield Record(source.taken[0].number, cells, is_utf8=is_utf8)
            continue
        first, last = source.taken[0].number, source.taken[-1].number
        if not source.give_back():
            flaw += f" (lines {first} to {last} are left out with it)"
        yield Record(first, [], flaw)


def _explain(error: csv.Error) -> str:
    message = str(error)
    if "unexpected end" in message:
        return "a quoted cell begins here and is never closed; add the closing quote"
    if "field larger" in message:
        return "a quoted cell begins here and is too long; is its closing quote missing?"
    if "expected after" in message:
        return "text follows the closing quote of a cell; a quote inside a quoted cell is written twice"
    return f"this row cannot be read as CSV: {message}"
