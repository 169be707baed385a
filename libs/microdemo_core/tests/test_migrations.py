"""Migrations: safe from several replicas at once, and readiness knows when they are behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
    async with _schema_at(kernel, None):
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["down"]) == (503, ["migrations"])
    assert (await client.get("/readyz")).status_code == 200


async def test_a_schema_of_the_next_version_is_not_behind(client: httpx.AsyncClient, kernel: KernelPlugin) -> None:
    """During a rollout, and after a rollback, this version restarts on a schema that the next one has migrated."""
    async with _schema_at(kernel, "from_the_future"):
        assert (await client.get("/readyz")).status_code == 200


@asynccontextmanager
async def _schema_at(kernel: KernelPlugin, revision: str | None) -> AsyncIterator[None]:
    async def write(revision: str | None) -> None:
        async with kernel.database.engine.begin() as connection:
            await connection.execute(text("DELETE FROM alembic_version"))
            if revision is not None:
                await connection.execute(text("INSERT INTO alembic_version VALUES (:v)"), {"v": revision})

    kernel.health._migrated = False
    await write(revision)
    try:
        yield
    finally:
        await write(kernel.migrations.head)
