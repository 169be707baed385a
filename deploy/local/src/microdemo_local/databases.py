"""The three databases in the PostgreSQL that is started here: each user reaches its own and no other."""

import asyncio
from pathlib import Path
from typing import Final

import asyncpg
import psutil  # type: ignore[import-untyped]  # it ships no types

from microdemo_core.testing.servers import postgres_version
from microdemo_local.errors import LocalError
from microdemo_local.layout import Layout
from microdemo_local.stack import Stack

_CONNECT_SECONDS: Final = 5.0


def check_data_folder(layout: Layout) -> None:
    """The binaries have to fit the data."""
    data_dir = layout.postgres
    made_by, binaries = (data_dir / "PG_VERSION").read_text().strip(), str(postgres_version())
    if made_by != binaries:
        message = (
            f"{data_dir} is a PostgreSQL {made_by}'s, and the binaries here are {binaries}: "
            f"name {made_by}'s in POSTGRES_BIN, or start anew with `make reset`."
        )
        raise LocalError(message)


def clear_stale_pid(data_dir: Path) -> None:
    """Removes a pid file left by a crash whose number somebody else has by now: PostgreSQL would not start."""
    pid_file = data_dir / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
        running = Path(psutil.Process(pid).cwd()) == data_dir
    except (OSError, IndexError, ValueError, psutil.Error):
        running = False
    if running:
        message = f"A PostgreSQL (pid {pid}) that was not started by this command runs on {data_dir}: stop it first."
        raise LocalError(message)
    pid_file.unlink(missing_ok=True)


def prepare_databases(stack: Stack) -> None:
    """Makes users and databases that are missing; the server must be up."""
    asyncio.run(_prepare(stack))


async def _prepare(stack: Stack) -> None:
    try:
        connection = await asyncpg.connect(stack.superuser_url(), timeout=_CONNECT_SECONDS)
    except asyncpg.InvalidPasswordError as error:
        message = f"{stack.layout.home / 'secrets.json'} does not fit the data: `make reset` starts anew."
        raise LocalError(message) from error
    try:
        roles = {row[0] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
        databases = {row[0] for row in await connection.fetch("SELECT datname FROM pg_database")}
        await connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
        # Names and passwords are ours, plain letters and digits.
        for user in stack.own_databases:
            if user not in roles:
                password = stack.secrets.database_passwords[user]
                await connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
            if f"{user}db" not in databases:
                await connection.execute(f"CREATE DATABASE {user}db OWNER {user}")
            await connection.execute(f"REVOKE ALL ON DATABASE {user}db FROM PUBLIC")
    finally:
        await connection.close()


def why_unreachable(url: str) -> str | None:
    """None if that database takes a connection; for servers of one's own."""
    return asyncio.run(_why_unreachable(url))


async def _why_unreachable(url: str) -> str | None:
    try:
        connection = await asyncpg.connect(url.replace("postgresql+asyncpg:", "postgresql:"), timeout=_CONNECT_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    await connection.close()
    return None
