"""Where things are: the checkout, the state folder in it, the installed commands."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from microdemo_local.errors import LocalError

SERVICES: Final = ("users", "orders", "inventory")


class Layout(msgspec.Struct, frozen=True):
    """`root` is the checkout, `home` its state (.local), `commands` where users, microdemo-demo and so on lie."""

    root: Path
    home: Path
    commands: Path

    @classmethod
    def of_checkout(cls, environ: Mapping[str, str] = os.environ) -> Self:
        root = Path(__file__).resolve().parents[4]
        home = Path(environ.get("MICRODEMO_HOME") or root / ".local").resolve()
        if not re.fullmatch(r"[\w /.,+=@~-]+", f"{root}{home}"):
            # It is written into configuration files, each with quoting rules of its own.
            message = f"{home} has to be a path of letters, digits, spaces and /.,+=@~_- alone."
            raise LocalError(message)
        return cls(root=root, home=home, commands=Path(sys.executable).parent)

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def env(self) -> Path:
        return self.home / "env"

    @property
    def gateway(self) -> Path:
        return self.home / "nginx"

    @property
    def run(self) -> Path:
        return self.home / "run"

    def log(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def command(self, name: str) -> str:
        return str(self.commands / name)

    def make(self) -> None:
        """Creates the folders, closed to other users; the home may be passed through, not listed."""
        for folder in (self.home, self.logs, self.env, self.gateway, self.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
