"""Reading the parts' logs: the last lines, and what comes."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from microdemo_local.errors import LocalError
from microdemo_local.layout import Layout

_LONGEST_TAIL: Final = 65_536


def tail(path: Path, lines: int) -> list[str]:
    """At most the last 64 KiB."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - _LONGEST_TAIL))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []


def log_files(layout: Layout, part: str | None) -> list[Path]:
    """All logs, or those of one part ("users" has users-1, users-migrate, …)."""
    files = sorted(layout.logs.glob("*.log"))
    if part is None:
        return files
    chosen = [path for path in files if path.stem == part or path.stem.startswith(f"{part}-")]
    if not chosen:
        names = ", ".join(path.stem for path in files) or "no logs at all yet"
        message = f"There is no log of {part!r}; there is {names}."
        raise LocalError(message)
    return chosen


def follow(paths: Callable[[], Sequence[Path]], goes_on: Callable[[], bool]) -> Iterator[tuple[Path, str]]:
    """What is written from now on, line by line, also into files that come later or are rotated."""
    places = {path: _Place.at_end(path) for path in paths()}
    while goes_on():
        for path in paths():
            place = places.setdefault(path, _Place())
            for line in place.new_lines(path):
                yield path, line
        time.sleep(0.3)


class _Place(msgspec.Struct):
    inode: int = 0
    offset: int = 0
    rest: bytes = b""

    @classmethod
    def at_end(cls, path: Path) -> "_Place":
        found = path.stat()
        return cls(inode=found.st_ino, offset=found.st_size)

    def new_lines(self, path: Path) -> Iterator[str]:
        try:
            with path.open("rb") as file:
                found = path.stat()
                if found.st_ino != self.inode or found.st_size < self.offset:
                    self.inode, self.offset = found.st_ino, 0
                file.seek(self.offset)
                written = file.read()
        except FileNotFoundError:
            return
        self.offset += len(written)
        *whole, self.rest = (self.rest + written).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
