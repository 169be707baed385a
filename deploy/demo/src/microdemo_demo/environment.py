"""Where the demo data goes: three migrated databases, and the Redis that the services cache in, if they run."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
from msgspec import Struct
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from microdemo_core.db import Migrations
from microdemo_demo.errors import DemoError
from microdemo_inventory.app import MIGRATIONS as INVENTORY_MIGRATIONS
from microdemo_orders.app import MIGRATIONS as ORDERS_MIGRATIONS
from microdemo_users.app import MIGRATIONS as USERS_MIGRATIONS

__all__ = ("Databases", "connect", "redis_url")

_MIGRATIONS: Final[dict[str, Path]] = {
    "users": USERS_MIGRATIONS,
    "orders": ORDERS_MIGRATIONS,
    "inventory": INVENTORY_MIGRATIONS,
}
_CONNECT_SECONDS: Final = 10


class Databases(Struct, frozen=True):
    """A connection to each, in autocommit until somebody opens a transaction."""

    users: asyncpg.Connection
    orders: asyncpg.Connection
    inventory: asyncpg.Connection


@asynccontextmanager
async def connect(environ: Mapping[str, str] = os.environ) -> AsyncIterator[Databases]:
    """Raises: DemoError, naming every variable that is missing and every database that cannot be used."""
    wrong = []
    if environ.get("ENVIRONMENT") != "local":
        wrong.append("ENVIRONMENT is not local, and the demo accounts have a password that everybody knows")
    async with AsyncExitStack() as stack:
        found = {}
        for service in _MIGRATIONS:
            try:
                found[service] = await _usable(service, environ, stack)
            except DemoError as error:
                wrong.append(str(error))
        if wrong:
            raise DemoError(f"Demo data needs three migrated databases: {'; '.join(wrong)}.")
        yield Databases(**found)


def redis_url(environ: Mapping[str, str] = os.environ) -> str | None:
    """REDIS_URL, which names no database: each service has its own. Raises: DemoError."""
    url = environ.get("REDIS_URL", "").strip().rstrip("/")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or parts.path or parts.query:
        raise DemoError("REDIS_URL is to be like redis://:password@host:6379, without a database's number.")
    return url


async def _usable(service: str, environ: Mapping[str, str], stack: AsyncExitStack) -> Any:
    variable = f"{service.upper()}_DATABASE_URL"
    url = _url(variable, environ)
    try:
        connection = await asyncpg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False),
            timeout=_CONNECT_SECONDS,
            server_settings={"application_name": "microdemo-demo"},
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DemoError(f"{variable} cannot be reached ({_reason(error)})") from None
    stack.push_async_callback(connection.close)
    try:
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        revision = None
    if revision != Migrations(service, _MIGRATIONS[service]).head:
        raise DemoError(f"{variable} is not migrated (`{service} migrate` does it)")
    return connection


def _url(variable: str, environ: Mapping[str, str]) -> URL:
    text = environ.get(variable, "").strip()
    if not text:
        raise DemoError(f"{variable} is missing")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise DemoError(f"{variable} is no URL") from None
    if url.get_backend_name() != "postgresql" or not url.database:
        raise DemoError(f"{variable} is not like postgresql://user:password@host:5432/database")
    return url


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_CONNECT_SECONDS} s"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        # asyncio's own text is "Connect call failed ('127.0.0.1', 5432)".
        return os.strerror(error.errno).lower()
    return str(error).partition("\n")[0]
