"""The engine and the unit of work: one commit, at the edge, before the answer is built.

advanced-alchemy's own ``autocommit`` hook swallows a COMMIT that fails, and the client gets a 201 for a row that is
not there; here the commit is an ordinary statement of the request, and its failure an ordinary error.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec
from sqlalchemy import event, make_url, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from microdemo_core.settings import Settings

__all__ = ("Database", "Invalidator", "UnitOfWork", "create_engine")


class Invalidator(Protocol):
    """What forgets cached entries; must not raise when the cache is away."""

    async def invalidate(self, keys: list[str], namespaces: list[str]) -> None: ...


class UnitOfWork:
    """A transaction, and what must follow its commit. Services write through ``session`` and never commit."""

    __slots__ = ("_keys", "_namespaces", "session")

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self._keys: list[str] = []
        self._namespaces: list[str] = []

    def invalidate(self, *keys: str, namespaces: tuple[str, ...] = ()) -> None:
        """Forget these cache entries after the commit, never before it."""
        self._keys += keys
        self._namespaces += namespaces

    async def forget(self, invalidator: Invalidator) -> None:
        if self._keys or self._namespaces:
            await invalidator.invalidate(self._keys, self._namespaces)


def create_engine(settings: Settings, *, application_name: str) -> AsyncEngine:
    """An engine whose waits are all bounded: for a connection, for a statement, in an idle transaction."""
    statement_ms = str(int(settings.statement_timeout_seconds * 1000))
    engine = create_async_engine(
        make_url(settings.database_url).set(drivername="postgresql+asyncpg"),
        pool_size=settings.pool_size,
        max_overflow=0,
        # SQLAlchemy waits 30 s by default: then a starved pool looks like a dead service.
        pool_timeout=settings.pool_timeout_seconds,
        # Parameters hold passwords' hashes and e-mail addresses.
        hide_parameters=True,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
        connect_args={
            "timeout": 3,
            "server_settings": {
                "application_name": application_name,
                "statement_timeout": statement_ms,
                "idle_in_transaction_session_timeout": statement_ms,
            },
        },
    )
    event.listen(engine.sync_engine, "handle_error", _discard_half_asked)
    return engine


def _discard_half_asked(context: ExceptionContext) -> None:
    """Closes a connection whose statement was prepared and then never sent, because a value is no such type.

    asyncpg refuses 2**64 for a bigint by itself. Until its next statement the connection would lie in the pool with
    the locks that preparing took, and a migration would wait for it.
    """
    if getattr(context.original_exception, "sqlstate", None) == "22000":
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False


class Database:
    """One service's database. No connection is taken before a session's first statement."""

    def __init__(self, engine: AsyncEngine, invalidator: Invalidator) -> None:
        self.engine = engine
        self._invalidator = invalidator
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def unit_of_work(self, *, read_only: bool = False) -> AsyncIterator[UnitOfWork]:
        """Commits at the end of the block; any exception in it, or in the commit, rolls all of it back.

        ``read_only`` spares BEGIN and COMMIT: each statement sees its own snapshot, and nothing may be written.
        """
        work = UnitOfWork(AsyncSession(self._autocommit if read_only else self.engine, expire_on_commit=False))
        may_be_stored = read_only  # there each statement is stored at once
        try:
            async with work.session:
                yield work
                may_be_stored = True
                await work.session.commit()
        finally:
            # Also where a deadline struck or the connection broke during COMMIT: the database may have done it.
            # The session is closed, so its connection is back in the pool before the cache is asked.
            if may_be_stored:
                await work.forget(self._invalidator)

    @asynccontextmanager
    async def single_statement(self) -> AsyncIterator[UnitOfWork]:
        """For a write that is one statement, such as a call of a SQL function: its own transaction, in one round trip.

        What that statement did stays done, whatever the rest of the block raises.
        """
        async with self.unit_of_work(read_only=True) as work:
            yield work

    async def ping(self) -> None:
        async with self._autocommit.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self.engine.dispose()
