"""A database per worker, cloned from a template that was migrated once per run."""

import asyncio
import functools
from pathlib import Path
from typing import Final

import asyncpg
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from microdemo_core.db import Migrations

__all__ = ("clone_database", "truncate")

_LOCK: Final = 0x74656D706C  # "templ"


@functools.cache
def clone_database(server_url: str, service: str, migrations: Path, *, worker: str) -> str:
    """The URL of this worker's database of that service, cloned when first asked for."""
    return asyncio.run(_clone(server_url, service, migrations, worker))


async def _clone(server_url: str, service: str, folder: Path, worker: str) -> str:
    migrations = Migrations(service, folder)
    template, name = f"{service}_template_{migrations.head}", f"{service}_{worker}"
    connection = await asyncpg.connect(server_url)
    try:
        # Workers ask at the same time; the first one migrates, the others clone.
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", template):
            await connection.execute(f'CREATE DATABASE "{template}"')
            engine = create_async_engine(_url(server_url, template, "postgresql+asyncpg"))
            await migrations.upgrade(engine)
            await engine.dispose()
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    finally:
        await connection.close()
    return _url(server_url, name, "postgresql")


async def truncate(database_url: str) -> None:
    """Empties every table and restarts its ids; the schema's version stays."""
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch(
            "SELECT quote_ident(tablename) FROM pg_tables "
            "WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        )
        if tables:
            await connection.execute(f"TRUNCATE {', '.join(row[0] for row in tables)} RESTART IDENTITY CASCADE")
    finally:
        await connection.close()


def _url(server_url: str, database: str, driver: str) -> str:
    return make_url(server_url).set(database=database, drivername=driver).render_as_string(hide_password=False)
