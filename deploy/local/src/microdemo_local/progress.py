"""What the user sees while parts start: one line per step, with its seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Progress:
    """Writes to `out`; a step that fails says so in its line before the error passes on."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def say(self, line: str = "") -> None:
        self._out.write(f"{line}\n")
        self._out.flush()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        begun = time.monotonic()
        self._out.write(f"  {title:<34} ")
        self._out.flush()
        try:
            yield
        except BaseException:
            self.say("failed")
            raise
        self.say(f"{time.monotonic() - begun:5.1f} s")
