"""What is remembered between runs: ports, secrets, whether demo data was loaded; and the lock on it all."""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from microdemo_core.testing.servers import free_port, port_is_free
from microdemo_local.errors import LocalError
from microdemo_local.layout import SERVICES, Layout

_Loaded = TypeVar("_Loaded")


class State(msgspec.Struct, kw_only=True):
    """`port` is the gateway's, `ports` everybody else's by part."""

    port: int = 8080
    replicas: int = 1
    ports: dict[str, int] = {}
    # Stack.databases of those that got the demo data.
    seeded: list[str] = []

    @classmethod
    def load(cls, layout: Layout) -> Self:
        return _load(layout.home / "state.json", cls)

    def save(self, layout: Layout) -> None:
        write_private(layout.home / "state.json", msgspec.json.format(msgspec.json.encode(self)).decode())

    def port_of(self, part: str) -> int:
        """The part's port, chosen at first asking."""
        while part not in self.ports:
            port = free_port()
            if port not in self.ports.values():
                self.ports[part] = port
        return self.ports[part]

    def forget_taken_ports(self) -> None:
        """For when nothing of ours runs: a port that somebody else took meanwhile is chosen anew."""
        self.ports = {part: port for part, port in self.ports.items() if port_is_free(port)}


class Secrets(msgspec.Struct, kw_only=True):
    """Random, made once; hex, so that no file or URL has to quote them."""

    jwt_secret_key: str
    redis_password: str
    superuser_password: str
    database_passwords: dict[str, str]

    @classmethod
    def load(cls, layout: Layout) -> Self:
        path = layout.home / "secrets.json"
        if path.exists():
            return _load(path, cls)
        if layout.postgres.exists():
            message = f"{path} is missing, and {layout.postgres} cannot be opened without it: `make reset` starts anew."
            raise LocalError(message)
        made = cls(
            jwt_secret_key=secrets.token_hex(32),
            redis_password=secrets.token_hex(16),
            superuser_password=secrets.token_hex(16),
            database_passwords={service: secrets.token_hex(16) for service in SERVICES},
        )
        write_private(path, msgspec.json.format(msgspec.json.encode(made)).decode())
        return made


def write_private(path: Path, text: str) -> None:
    """Replaces the file whole, readable by its owner alone."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)


@contextmanager
def exclusive(layout: Layout, say: Callable[[str], None]) -> Iterator[None]:
    """One command at a time changes a home; another waits and says so."""
    path = layout.home / "lock"
    while True:
        layout.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another microdemo command is at work here; waiting for it to end.")
                fcntl.flock(file, fcntl.LOCK_EX)
            # `reset` deletes the file while others wait for it: theirs is no lock any more.
            if path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                yield
                return


def _load(path: Path, kind: type[_Loaded]) -> _Loaded:
    if not path.exists():
        return kind()
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.MsgspecError as error:
        message = f"{path} cannot be read ({error}): `make reset` starts anew."
        raise LocalError(message) from error
