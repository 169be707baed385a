"""The unit of work: what is answered is stored, and what failed left nothing."""

import asyncio

import httpx
import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from microdemo_core.db import Database, create_engine
from microdemo_core.plugin import KernelPlugin
from microdemo_core.settings import Settings
from microdemo_core.testing.tokens import Tokens

pytestmark = pytest.mark.anyio


class Forgetter:
    """Keeps what it was told to forget, and, given a kernel, how many notes anybody could read just then."""

    def __init__(self, kernel: KernelPlugin | None = None) -> None:
        self.keys: list[str] = []
        self.namespaces: list[str] = []
        self.seen: list[int] = []
        self._kernel = kernel

    async def invalidate(self, keys: list[str], namespaces: list[str]) -> None:
        self.keys += keys
        self.namespaces += namespaces
        if self._kernel is not None:
            self.seen.append(await _count(self._kernel))


async def _count(kernel: KernelPlugin) -> int:
    async with kernel.database.unit_of_work(read_only=True) as uow:
        return await uow.session.scalar(select(func.count()).select_from(text("notes"))) or 0


async def _reject_at_commit(kernel: KernelPlugin) -> None:
    """A deferred trigger: the statement passes and the COMMIT fails."""
    async with kernel.database.engine.begin() as connection:
        await connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$"
            )
        )
        await connection.execute(
            text(
                "CREATE CONSTRAINT TRIGGER refuse_late AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )


async def test_a_commit_that_fails_is_an_error_the_client_sees(
    client: httpx.AsyncClient, kernel: KernelPlugin, tokens: Tokens
) -> None:
    """No 201 for a row that is not there."""
    await _reject_at_commit(kernel)
    try:
        answer = await client.post("/", json={"text": "x"}, headers=tokens.user())
    finally:
        async with kernel.database.engine.begin() as connection:
            await connection.execute(text("DROP TRIGGER refuse_late ON notes"))
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert await _count(kernel) == 0


async def test_a_single_statement_is_its_own_transaction(clean: None, kernel: KernelPlugin) -> None:
    """It is stored when it returns, and the cache is told when the block ends."""
    forgetter = Forgetter()
    async with Database(kernel.database.engine, forgetter).single_statement() as uow:
        await uow.session.execute(text("INSERT INTO notes (user_id, text) VALUES (1, 'x')"))
        uow.invalidate("notes:note:1")
        assert await _count(kernel) == 1
        assert forgetter.keys == []
    assert forgetter.keys == ["notes:note:1"]


async def test_an_error_after_a_write_leaves_nothing(clean: None, kernel: KernelPlugin) -> None:
    """All of a unit of work, or none of it, and no invalidation."""
    forgetter = Forgetter()
    database = Database(kernel.database.engine, forgetter)

    async def fail_half_way() -> None:
        async with database.unit_of_work() as uow:
            await uow.session.execute(text("INSERT INTO notes (user_id, text) VALUES (1, 'x')"))
            uow.invalidate("notes:note:1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_half_way()
    assert await _count(kernel) == 0
    assert forgetter.keys == []


async def test_invalidation_follows_the_commit(clean: None, kernel: KernelPlugin) -> None:
    """What is forgotten is forgotten when others can already read the new row."""
    forgetter = Forgetter(kernel)
    async with Database(kernel.database.engine, forgetter).unit_of_work() as uow:
        await uow.session.execute(text("INSERT INTO notes (user_id, text) VALUES (1, 'x')"))
        uow.invalidate("notes:note:1", namespaces=("notes:notes",))
        assert forgetter.keys == []
    assert (forgetter.keys, forgetter.namespaces, forgetter.seen) == (["notes:note:1"], ["notes:notes"], [1])


async def test_a_commit_cut_short_is_taken_for_done(clean: None, kernel: KernelPlugin) -> None:
    """When a deadline strikes during COMMIT nobody knows its outcome, so the cache forgets; no connection is lost."""
    is_committing = asyncio.Event()
    event.listen(kernel.database.engine.sync_engine, "commit", lambda _: is_committing.set(), once=True)
    forgetter = Forgetter()

    async def write() -> None:
        async with Database(kernel.database.engine, forgetter).unit_of_work() as uow:
            await uow.session.execute(text("INSERT INTO notes (user_id, text) VALUES (1, 'x')"))
            uow.invalidate("notes:note:1")

    writing = asyncio.create_task(write())
    await is_committing.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert forgetter.keys == ["notes:note:1"]
    assert kernel.database.engine.sync_engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a queue's


async def test_a_single_statement_cut_short_is_taken_for_done(clean: None, kernel: KernelPlugin) -> None:
    """What was stored is forgotten in the cache, whatever ends the block."""
    forgetter = Forgetter()

    async def write() -> None:
        async with Database(kernel.database.engine, forgetter).single_statement() as uow:
            await uow.session.execute(text("INSERT INTO notes (user_id, text) VALUES (1, 'x')"))
            uow.invalidate("notes:note:1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await write()
    assert await _count(kernel) == 1
    assert forgetter.keys == ["notes:note:1"]


async def test_a_starved_pool_is_503_with_a_hint(
    client: httpx.AsyncClient, kernel: KernelPlugin, tokens: Tokens
) -> None:
    """Waiting for a connection is bounded, and its failure says that trying again helps."""
    pool_size = kernel.settings.pool_size
    held = [await kernel.database.engine.connect() for _ in range(pool_size)]
    try:
        answer = await client.get("/", headers=tokens.user())
    finally:
        for connection in held:
            await connection.close()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert (await client.get("/", headers=tokens.user())).status_code == 200


async def test_a_busy_pool_is_no_reason_to_take_an_instance_out(
    client: httpx.AsyncClient, kernel: KernelPlugin
) -> None:
    """Readiness asks whether the database is there, not whether a connection is idle."""
    assert (await client.get("/readyz")).status_code == 200
    held = [await kernel.database.engine.connect() for _ in range(kernel.settings.pool_size)]
    try:
        answer = await client.get("/readyz")
    finally:
        for connection in held:
            await connection.close()
    assert answer.status_code == 200


async def test_no_connection_is_held_before_the_first_statement(
    client: httpx.AsyncClient, kernel: KernelPlugin, tokens: Tokens
) -> None:
    """An answer that needs no database does not wait for one: validation fails first."""
    held = [await kernel.database.engine.connect() for _ in range(kernel.settings.pool_size)]
    try:
        answer = await client.post("/", json={"text": ""}, headers=tokens.user())
    finally:
        for connection in held:
            await connection.close()
    assert answer.status_code == 422


async def test_waits_in_the_database_are_bounded(settings: Settings) -> None:
    """Statement and idle-transaction timeouts are set on every connection."""
    engine = create_engine(settings, application_name="check")
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')")
        )
        assert tuple(rows.one()) == ("5s", "5s")
    await engine.dispose()


async def test_many_units_of_work_share_a_small_pool(clean: None, kernel: KernelPlugin) -> None:
    """A connection goes back before the cache is told, which takes its time."""
    database = Database(kernel.database.engine, Forgetter(kernel))

    async def write() -> None:
        async with database.unit_of_work() as uow:
            await uow.session.execute(text("INSERT INTO notes (user_id, text) VALUES (1, 'x')"))
            uow.invalidate("notes:note:1")

    await asyncio.gather(*(write() for _ in range(kernel.settings.pool_size)))
    assert await _count(kernel) == kernel.settings.pool_size


async def test_a_broken_constraint_raises_where_it_happens(clean: None, kernel: KernelPlugin) -> None:
    """Below the edge errors are SQLAlchemy's own."""
    with pytest.raises(IntegrityError):
        async with kernel.database.unit_of_work() as uow:
            await uow.session.execute(text("INSERT INTO notes (user_id) VALUES (1)"))


async def test_a_value_that_the_driver_refuses_leaves_no_lock(kernel: KernelPlugin) -> None:
    """The driver prepares the statement, which locks the table, and only then looks at the value."""
    with pytest.raises(DBAPIError):
        async with kernel.database.unit_of_work(read_only=True) as uow:
            await uow.session.execute(text("SELECT * FROM notes WHERE id = :id"), {"id": 2**64})
    async with kernel.database.engine.begin() as connection:
        await connection.execute(text("SET LOCAL lock_timeout = '1s'"))
        await connection.execute(text("LOCK TABLE notes IN ACCESS EXCLUSIVE MODE"))


async def test_a_value_that_cannot_be_stored_is_the_callers_mistake(client: httpx.AsyncClient, tokens: Tokens) -> None:
    """422 for a number that no bigint holds and for a NUL in a text."""
    for answer in (
        await client.get(f"/{2**64}", headers=tokens.user()),
        await client.get(f"/?skip={2**64}", headers=tokens.user()),
        await client.post("/", json={"text": "a\0b"}, headers=tokens.user()),
    ):
        assert answer.status_code == 422
        assert answer.json()["errors"]
