"""Migrations: safe from several replicas at once, and readiness knows when they are behind."""

import asyncio

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from microdemo_core.plugin import KernelPlugin
from microdemo_core.testing.service import ServiceUnderTest

pytestmark = pytest.mark.anyio


async def test_replicas_take_turns(
    postgres_url: str, service: ServiceUnderTest, kernel: KernelPlugin, worker: str
) -> None:
    """Of five that migrate an empty database at once one does the work, and all agree on the result."""
    name = f"race_{worker}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"CREATE DATABASE {name}")
    url = postgres_url.replace("postgresql://", "postgresql+asyncpg://").rsplit("/", 1)[0] + f"/{name}"
    engines = [create_async_engine(url) for _ in range(5)]
    try:
        results = await asyncio.gather(*(kernel.migrations.upgrade(engine) for engine in engines))
    finally:
        for engine in engines:
            await engine.dispose()
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()
    assert sorted(before is None for before, _ in results) == [False] * 4 + [True]
    assert {after for _, after in results} == {kernel.migrations.head}


async def test_readiness_names_migrations_that_are_behind(client: httpx.AsyncClient, kernel: KernelPlugin) -> None:
    """A schema older than the code makes the instance unready, and says so."""
    kernel.health._migrated = False
    async with kernel.database.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    try:
        answer = await client.get("/readyz")
    finally:
        async with kernel.database.engine.begin() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": kernel.migrations.head})
    assert (answer.status_code, answer.json()["down"]) == (503, ["migrations"])
    assert (await client.get("/readyz")).status_code == 200
