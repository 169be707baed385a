"""A binary file's lines as an editor counts them, in bounded memory whatever the bytes are."""

import codecs
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

__all__ = ("BinaryReader", "Line", "physical_lines")

_CHUNK_BYTES: Final = 64 * 2**10


class BinaryReader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Line(NamedTuple):
    r"""``text`` keeps its line end. It is None when the line was too long to keep.

    Bytes that are no UTF-8 are surrogates (``\udc80`` to ``\udcff``) in ``text``, and ``is_utf8`` is False.
    """

    number: int
    text: str | None
    is_utf8: bool = True


def physical_lines(file: BinaryReader, *, max_bytes: int) -> Iterator[Line]:
    r"""Lines end at ``\n``, ``\r\n`` or ``\r``; a UTF-8 byte order mark is dropped."""
    number = 0
    for raw in _split(file, max_bytes):
        number += 1
        if raw is None:
            yield Line(number, None)
            continue
        line = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
        try:
            yield Line(number, line.decode())
        except UnicodeDecodeError:
            yield Line(number, line.decode(errors="surrogateescape"), is_utf8=False)


def _split(file: BinaryReader, max_bytes: int) -> Iterator[bytes | None]:
    rest = b""
    skipping = False  # the rest of a line that was too long
    while chunk := file.read(_CHUNK_BYTES):
        pieces = (rest + chunk).splitlines(keepends=True)
        # A chunk that ends in \r may have cut \r\n in two.
        rest = b"" if pieces[-1].endswith(b"\n") else pieces.pop()
        for piece in pieces:
            if not skipping:
                yield piece if len(piece) <= max_bytes else None
            skipping = False
        if len(rest) > max_bytes:
            if not skipping:
                yield None
            skipping, rest = True, b""
    if rest and not skipping:
        yield rest
