"""The one error a command ends with."""

from pathlib import Path


class LocalError(Exception):
    """One sentence for a person; `log` is the file whose last lines tell more."""

    def __init__(self, sentence: str, *, log: Path | None = None) -> None:
        super().__init__(sentence)
        self.log = log
