"""Stock under many hands at once: no piece twice, no piece lost, nobody waiting in a circle."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

import microdemo_inventory

from .conftest import AddItem, Reserve, unbalanced

pytestmark = pytest.mark.anyio

FUNCTIONS = Path(microdemo_inventory.__file__).parent / "migrations" / "sql" / "0001"
ORDERED = "PERFORM FROM items WHERE sku = ANY (v_skus) ORDER BY sku FOR UPDATE;"
# The same lock, in the order of the request's lines.
UNORDERED = """PERFORM FROM unnest(p_skus) WITH ORDINALITY AS l (sku, line) JOIN items i ON i.sku = l.sku
    ORDER BY line FOR UPDATE OF i;"""

RESERVE = "SELECT reserve_stock('o1', 1, 'h', ARRAY['A'], ARRAY[3], ARRAY[NULL]::numeric[], NULL, false, NULL)"

Connect = Callable[[], Coroutine[Any, Any, asyncpg.Connection]]


@pytest.fixture
async def connect(database_url: str, clean: None) -> AsyncIterator[Connect]:
    """Connections past the service; all closed afterwards, whatever they wait for."""
    opened: list[asyncpg.Connection] = []

    async def one() -> asyncpg.Connection:
        connection = await asyncpg.connect(database_url, server_settings={"deadlock_timeout": "100ms"})
        opened.append(connection)
        return connection

    yield one
    for connection in opened:
        connection.terminate()


async def until_blocked(sql: asyncpg.Connection, waiting: int) -> None:
    """Returns when that many sessions of this database wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while await sql.fetchval(query) < waiting:  # noqa: ASYNC110 - what we wait for is in PostgreSQL
            await asyncio.sleep(0.01)


async def test_no_more_is_held_than_there_is(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """200 orders of one piece on 100 pieces: 100 held, 100 refused, none left."""
    await add_item("A", 100, price=1)

    async def one(number: int) -> str:
        for _ in range(20):
            answer = await reserve(f"o{number}", 1, [("A", 1)])
            # What found no connection in time is asked again, as the orders service would.
            if answer.status_code != 503:
                break
        return str(answer.json()["state"])

    states = Counter(await asyncio.gather(*(one(number) for number in range(200))))
    assert states == {"held": 100, "refused": 100}
    assert await sql.fetchval("SELECT qty FROM items") == 0
    assert await unbalanced(sql) == []


async def test_twins_take_once(connect: Connect, add_item: AddItem, sql: asyncpg.Connection) -> None:
    """A reserve that comes while its twin is still deciding waits for it, and is answered what that decided."""
    await add_item("A", 5, price=1)
    first, second = await connect(), await connect()
    deciding = first.transaction()
    await deciding.start()
    decided = await first.fetchval(RESERVE)
    twin = asyncio.create_task(second.fetchval(RESERVE))
    await until_blocked(sql, 1)
    await deciding.commit()
    assert '"held"' in decided
    assert '"held"' in await twin
    assert await sql.fetchval("SELECT qty FROM items") == 2


@pytest.mark.parametrize("ends", ["commit", "rollback"])
async def test_a_release_during_its_reserve(
    connect: Connect, add_item: AddItem, sql: asyncpg.Connection, ends: str
) -> None:
    """It waits for the decision; afterwards nothing is held, whichever of the two came through."""
    await add_item("A", 5, price=1)
    reserving, releasing = await connect(), await connect()
    transaction = reserving.transaction()
    await transaction.start()
    await reserving.fetchval(RESERVE)
    release = asyncio.create_task(releasing.fetchval("SELECT release_stock('o1', 1)"))
    await until_blocked(sql, 1)
    await getattr(transaction, ends)()
    assert '"released"' in await release
    assert await sql.fetchval("SELECT qty FROM items") == 5
    assert await unbalanced(sql) == []


async def cross(connect: Connect, function: str) -> list[BaseException | str]:
    """Two reservations of A, B and C in opposite orders, stopped where each has locked what it locks first."""
    gate, one, two, watch = [await connect() for _ in range(4)]
    query = f"SELECT {function}($1, 1, 'h', $2, $3, array_fill(NULL::numeric, ARRAY[3]), NULL, false, NULL)"
    async with gate.transaction():
        await gate.execute("SELECT FROM items WHERE sku = 'B' FOR UPDATE")
        both = [
            asyncio.create_task(connection.fetchval(query, order_id, skus, [1, 1, 1]))
            for connection, order_id, skus in ((one, "o1", ["A", "B", "C"]), (two, "o2", ["C", "B", "A"]))
        ]
        await until_blocked(watch, 2)
    answers: list[BaseException | str] = await asyncio.gather(*both, return_exceptions=True)
    return answers


async def test_opposite_orders_do_not_deadlock(connect: Connect, add_item: AddItem, sql: asyncpg.Connection) -> None:
    """Stock is locked in SKU order, whatever the order of the lines: nobody waits in a circle."""
    for sku in "ABC":
        await add_item(sku, 5, price=1)
    for answer in await cross(connect, "reserve_stock"):
        assert '"held"' in str(answer)
    assert [row["qty"] for row in await sql.fetch("SELECT qty FROM items")] == [3, 3, 3]


async def test_without_the_order_they_do(connect: Connect, add_item: AddItem, sql: asyncpg.Connection) -> None:
    """The control: with the lock in the lines' order, the very same interleaving deadlocks."""
    for sku in "ABC":
        await add_item(sku, 5, price=1)
    source = (FUNCTIONS / "3_reserve_stock.sql").read_text()
    assert source.count(ORDERED) == 1
    source = source.replace(ORDERED, UNORDERED).replace("FUNCTION reserve_stock(", "FUNCTION reserve_unordered(")
    await sql.execute(source)
    try:
        answers = await cross(connect, "reserve_unordered")
    finally:
        await sql.execute("DROP FUNCTION reserve_unordered")
    assert [type(answer) for answer in answers].count(asyncpg.DeadlockDetectedError) == 1, answers


@pytest.mark.parametrize("change", [{"method": "DELETE"}, {"method": "PUT", "json": {"sku": "B"}}])
async def test_a_change_waits_for_a_reserve_and_sees_it(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    connect: Connect,
    add_item: AddItem,
    sql: asyncpg.Connection,
    change: dict[str, Any],
) -> None:
    """An item is not deleted or renamed under an order that is taking pieces of it at that moment."""
    item = await add_item("A", 5, price=1)
    reserving = await connect()
    transaction = reserving.transaction()
    await transaction.start()
    await reserving.fetchval(RESERVE)
    changing = asyncio.create_task(client.request(url=f"/{item['id']}", headers=admin, **change))
    await until_blocked(sql, 1)
    await transaction.commit()
    assert (await changing).status_code == 409
    assert await unbalanced(sql) == []


async def test_an_import_waits_for_a_reserve_and_counts_it(
    client: httpx.AsyncClient, admin: dict[str, str], connect: Connect, add_item: AddItem, sql: asyncpg.Connection
) -> None:
    """The ledger gets the difference to what is there when the row is written, not when the file was read."""
    await add_item("A", 5, price=1)
    reserving = await connect()
    transaction = reserving.transaction()
    await transaction.start()
    # Only locked so far: a row that is being changed would stop the import earlier, when it looks for new SKUs.
    await reserving.execute("SELECT FROM items FOR UPDATE")
    files = {"file": ("f.csv", b"sku,qty\nA,9\n", "text/csv")}
    importing = asyncio.create_task(client.post("/import/csv", files=files, headers=admin))
    await until_blocked(sql, 1)
    await reserving.fetchval(RESERVE)
    await transaction.commit()
    assert (await importing).json()["updated_count"] == 1
    assert await sql.fetchval("SELECT qty FROM items") == 9
    assert await unbalanced(sql) == []


async def test_adjustments_and_orders_do_not_overwrite_each_other(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """Every piece added and every piece taken counts, in whatever order they come."""
    item = await add_item("A", 50, price=1)

    async def one(number: int) -> int:
        if number % 2:
            answer = await reserve(f"o{number}", 1, [("A", 1)])
        else:
            body = {"delta": 1, "reason": "found"}
            answer = await client.post(f"/{item['id']}/adjustments", json=body, headers=admin)
        return answer.status_code

    for start in range(0, 60, 10):
        assert set(await asyncio.gather(*(one(start + number) for number in range(10)))) <= {200, 201}
    assert await sql.fetchval("SELECT qty FROM items") == 50
    assert await unbalanced(sql) == []


async def test_edits_and_releases_in_opposite_orders(
    client: httpx.AsyncClient, orders: dict[str, str], add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """Edits that replace, releases of either epoch, imports and adjustments, all at once: no deadlock, no drift."""
    skus = [f"S{number}" for number in range(5)]
    for sku in skus:
        await add_item(sku, 1000, price=1)
    rng = random.Random(2)  # noqa: S311 - a test's seed

    async def life(order_id: str) -> set[int]:
        seen = set()
        for epoch in range(1, 5):
            lines = [(sku, rng.randint(1, 5)) for sku in rng.sample(skus, rng.randint(1, 5))]
            calls = [reserve(order_id, epoch, lines, **({"replaces": epoch - 1} if epoch > 1 else {}))]
            if rng.random() < 0.5:
                calls.append(client.delete(f"/reservations/{order_id}/{epoch}", headers=orders))
            if rng.random() < 0.3:
                calls.append(client.delete(f"/reservations/{order_id}/{epoch - 1}", headers=orders))
            seen |= {answer.status_code for answer in await asyncio.gather(*calls)}
        return seen

    seen = await asyncio.gather(*(life(f"o{number}") for number in range(8)))
    assert set().union(*seen) == {200}
    assert await unbalanced(sql) == []
    assert await sql.fetchval("SELECT min(qty) FROM items") >= 0
