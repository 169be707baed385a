"""Text that a spreadsheet would run as a formula, made inert in a file and restored exactly from it.

A cell that begins like a formula gets one apostrophe more than it has, and loses one when it is read::

    =1+1      ->  '=1+1          -5     ->  -5        (a number is left alone)
    '=1+1     ->  ''=1+1         't Hart ->  't Hart  (no formula behind the apostrophe)

So ``restore(neutralise(text)) == text`` for every text, and files that no spreadsheet must fear stay as they are.
https://owasp.org/www-community/attacks/CSV_Injection
"""

import re
from typing import Final

__all__ = ("neutralise", "restore")

# OWASP's list, with the full-width forms that spreadsheets in East Asian locales fold to ASCII. Blanks and control
# characters before the sign do not help: some programs trim them.
_RISKY: Final = re.compile(r"'*(?:[\t\r\n]|[\s\x00-\x20\ufeff]*[=+\-@＝＋－＠])")  # noqa: RUF001 - meant
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def neutralise(text: str) -> str:
    return "'" + text if _RISKY.match(text) and not _NUMBER.fullmatch(text) else text


def restore(text: str) -> str:
    """Undoes :func:`neutralise`; a number that another program guarded (``'-5``) is restored too."""
    return text[1:] if text.startswith("'") and _RISKY.match(text) else text
