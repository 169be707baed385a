"""Lists and single orders: whose, in what order, by which filter, and how fresh."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from .conftest import Place, Shelves

pytestmark = pytest.mark.anyio

Headers = dict[str, str]
Add = Any
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


async def add(
    sql: asyncpg.Connection,
    order_id: str,
    user_id: int,
    *,
    at: datetime = NOON,
    status: str = "completed",
    total: str = "10.00",
    saga: str = "none",
    sku: str = "SKU-1",
) -> None:
    """An order as an import would have left it."""
    items = f'[{{"sku": "{sku}", "quantity": 1, "price": "{total}"}}]'
    await sql.execute(
        "INSERT INTO orders (id, user_id, status, total, items, version, saga, created_at, epoch)"
        " VALUES ($1, $2, $3, $4::text::numeric, $5, 1, $6, $7, 1)",
        order_id, user_id, status, total, items, saga, at,
    )  # fmt: skip


async def listed(client: httpx.AsyncClient, headers: Headers, **params: Any) -> list[str]:
    answer = await client.get("/", params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    return [order["id"] for order in answer.json()]


async def test_own_orders_newest_first(
    client: httpx.AsyncClient, sql: asyncpg.Connection, ada: Headers, bob: Headers, people: dict[str, int]
) -> None:
    """A user sees her own, an admin all; the owner counts before the page does."""
    for number in range(6):
        owner = people["Bob" if number % 2 else "Eve"]
        await add(sql, f"ORD-{number}", owner, at=NOON + timedelta(minutes=number))
    assert await listed(client, ada) == [f"ORD-{number}" for number in (5, 4, 3, 2, 1, 0)]
    assert await listed(client, bob) == ["ORD-5", "ORD-3", "ORD-1"]
    page = await client.get("/", params={"skip": 1, "limit": 1}, headers=bob)
    assert ([order["id"] for order in page.json()], page.headers["x-total-count"]) == (["ORD-3"], "3")
    assert 'rel="next"' in page.headers["link"]
    # Another user's filter does not open another user's orders.
    assert await listed(client, bob, user_id=people["Eve"]) == []
    assert await listed(client, ada, user_id=people["Eve"]) == ["ORD-4", "ORD-2", "ORD-0"]


async def test_a_keyset_walk_meets_every_order_once(
    client: httpx.AsyncClient, sql: asyncpg.Connection, bob: Headers, people: dict[str, int]
) -> None:
    """Also where many share one time."""
    for number in range(7):
        await add(sql, f"ORD-{number}", people["Bob"])
    seen: list[str] = []
    path = "/?cursor=&limit=3"
    while path:
        answer = await client.get(path, headers=bob)
        seen += [order["id"] for order in answer.json()]
        path = f"/{answer.links['next']['url']}" if "next" in answer.links else ""
    assert seen == [f"ORD-{number}" for number in (6, 5, 4, 3, 2, 1, 0)]


async def test_filters(
    client: httpx.AsyncClient, sql: asyncpg.Connection, bob: Headers, people: dict[str, int]
) -> None:
    """By status, by part of an id or SKU, by day; sorted by whatever stands in the list."""
    await add(sql, "AAA", people["Bob"], at=NOON, status="shipped", total="3.00", sku="MUG_1")
    await add(sql, "BBB", people["Bob"], at=NOON + timedelta(days=1), status="cancelled", total="1.00", sku="PEN-1")
    await add(sql, "CCC", people["Bob"], at=NOON + timedelta(days=2), status="shipped", total="2.00", sku="PEN-2")
    assert await listed(client, bob, status="shipped") == ["CCC", "AAA"]
    assert await listed(client, bob, q="pen") == ["CCC", "BBB"]
    assert await listed(client, bob, q="bb") == ["BBB"]
    # Neither a key of the JSON, nor a wildcard, nor what could be no name.
    for nothing in ("sku", "price", "%", '"', "N_1", "\x00"):
        assert await listed(client, bob, q=nothing) == [], nothing
    assert await listed(client, bob, **{"from": "2026-03-11"}) == ["CCC", "BBB"]
    assert await listed(client, bob, **{"from": "2026-03-11", "to": "2026-03-11"}) == ["BBB"]
    assert await listed(client, bob, sort="total") == ["BBB", "CCC", "AAA"]
    assert await listed(client, bob, sort="-id") == ["CCC", "BBB", "AAA"]
    assert await listed(client, bob, to="9999-12-31") == ["CCC", "BBB", "AAA"]
    for wrong in ({"status": "rejected"}, {"user_id": 2**63}, {"from": "yesterday"}):
        assert (await client.get("/", params=wrong, headers=bob)).status_code == 422, wrong


@pytest.mark.parametrize("saga", ["placing", "aborting", "rejected", "failed"])
async def test_unplaced_orders_are_nowhere(
    client: httpx.AsyncClient, sql: asyncpg.Connection, bob: Headers, people: dict[str, int], saga: str
) -> None:
    """Neither in a list, nor in a count, nor in an export; only at their own address."""
    status = "rejected" if saga in ("rejected", "failed") else "pending"
    await add(sql, "ORD-1", people["Bob"], saga=saga, status=status)
    assert await listed(client, bob) == []
    summary = (await client.get("/analytics", headers=bob)).json()
    assert (summary["total_orders"], summary["total_revenue"], summary["status_breakdown"]) == (0, "0.00", {})
    assert len((await client.get("/export/csv", headers=bob)).text.splitlines()) == 1
    assert await sql.fetchval("SELECT count(*) FROM order_items") == 0
    assert (await client.get("/ORD-1", headers=bob)).status_code == 200


async def test_a_known_tag_spares_the_order(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers, eve: Headers
) -> None:
    """304 for what the client has, the whole once it has changed, and nothing at all for others."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 1), id="ORD-1")
    first = await client.get("/ORD-1", headers=bob)
    known = {"If-None-Match": first.headers["etag"]}
    again = await client.get("/ORD-1", headers={**bob, **known})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get("/ORD-1", headers={**eve, **known})).status_code == 403
    await client.put("/ORD-1", json={"status": "cancelled"}, headers=bob)
    changed = await client.get("/ORD-1", headers={**bob, **known})
    assert (changed.status_code, changed.json()["status"]) == (200, "cancelled")


async def test_what_was_read_is_forgotten_when_it_changes(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers, bob: Headers
) -> None:
    """After each answer, lists, counts and the order itself say what it said."""
    await shelves.add("SKU-1", 10)

    async def everywhere() -> list[Any]:
        return [[order["status"] for order in (await client.get("/", headers=who)).json()] for who in (ada, bob)] + [
            (await client.get("/analytics", headers=bob)).json()["status_breakdown"]
        ]

    assert (await client.get("/ORD-1", headers=bob)).status_code == 404
    assert await everywhere() == [[], [], {}]
    await place(("SKU-1", 1), id="ORD-1")
    assert (await client.get("/ORD-1", headers=bob)).status_code == 200
    assert await everywhere() == [["pending"], ["pending"], {"pending": 1}]
    await client.put("/ORD-1", json={"status": "cancelled"}, headers=bob)
    assert await everywhere() == [["cancelled"], ["cancelled"], {"cancelled": 1}]
    await client.delete("/ORD-1", headers=bob)
    assert await everywhere() == [[], [], {}]


async def test_reads_come_from_the_cache(
    client: httpx.AsyncClient, sql: asyncpg.Connection, bob: Headers, people: dict[str, int], redis_url: str
) -> None:
    """A second read asks no database; with an empty cache the database is asked again."""
    await add(sql, "ORD-1", people["Bob"])
    paths = ("/", "/ORD-1", "/analytics", "/analytics/timeseries")
    before = [(await client.get(path, headers=bob)).content for path in paths]
    await sql.execute("UPDATE orders SET total = 99")  # past the service, so nothing is forgotten
    assert [(await client.get(path, headers=bob)).content for path in paths] == before
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()
    assert [(await client.get(path, headers=bob)).content for path in paths] != before
