"""What an uploaded file may weigh."""

from typing import Final

import msgspec

__all__ = ("MAX_BODY_BYTES", "Limits")


class Limits(msgspec.Struct, frozen=True):
    """Sizes in bytes but for ``cell_characters``; ``rows`` counts blank ones too."""

    file_bytes: int = 20 * 2**20
    rows: int = 100_000
    # One record with all its lines: what a quote that is never closed can swallow before it is noticed.
    record_bytes: int = 2**20
    # Stays below the 131,072 of the csv module, whose own limit is one for the whole process.
    cell_characters: int = 64 * 2**10
    columns: int = 100
    # 10,000 errors are some 3 MB of JSON; the rest is counted.
    listed_errors: int = 10_000


# For a handler's request_max_body_size: Litestar's own default is 10 MB, and multipart adds its frame.
MAX_BODY_BYTES: Final = Limits().file_bytes + 64 * 2**10
