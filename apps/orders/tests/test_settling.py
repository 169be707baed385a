"""What happens to an order when a peer is away, late, or loses its answer."""

from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from .conftest import Neighbour, OrdersApp, Place, Shelves
from .driving import ONE, Headers, events, settler
from .proxy import FaultyProxy

pytestmark = pytest.mark.anyio


async def test_inventory_down(
    client: httpx.AsyncClient, orders_app: OrdersApp, closed_url: str, shelves: Shelves, bob: Headers
) -> None:
    """503 with Retry-After, in no list; the same id, and the same key, then place the order."""
    await shelves.add("SKU-1", 10)
    headers = {**bob, "Idempotency-Key": "k"}
    async with orders_app(INVENTORY_URL=closed_url) as orders:
        answer = await orders.client.post("/", json=ONE, headers=headers)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert (await orders.client.get("/", headers=bob)).json() == []
    placed = await client.post("/", json={**ONE, "items": [{"sku": "SKU-1", "quantity": 2}]}, headers=headers)
    assert placed.status_code == 201, placed.text
    assert await shelves.reservations("ORD-1") == {2: "held"}
    assert await events(client, "ORD-1", bob) == ["order_created"]
    assert await shelves.left("SKU-1") == 8


async def test_users_down(
    orders_app: OrdersApp, closed_url: str, shelves: Shelves, bob: Headers, sql: asyncpg.Connection
) -> None:
    """503, and nothing of the order is written."""
    await shelves.add("SKU-1", 10)
    async with orders_app(USERS_URL=closed_url) as orders:
        answer = await orders.client.post("/", json=ONE, headers=bob)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert await sql.fetchval("SELECT count(*) FROM orders") == 0


@pytest.mark.parametrize("key", ["", "k"])
async def test_inventory_loses_its_answer(
    orders_app: OrdersApp, neighbours: list[Neighbour], shelves: Shelves, bob: Headers, key: str
) -> None:
    """202 with Location and settling; it is in no list until anybody settles it, with one reservation and one event."""
    await shelves.add("SKU-1", 10)
    headers = {**bob, **({"Idempotency-Key": key} if key else {})}
    async with FaultyProxy.before(neighbours[1].port) as proxy, orders_app(INVENTORY_URL=proxy.url) as orders:
        proxy.lose_answers = True
        answer = await orders.client.post("/", json=ONE, headers=headers)
        assert answer.status_code == 202, answer.text
        assert proxy.answers_lost
        assert answer.headers["location"] == "ORD-1"
        seen = (await orders.client.get("/ORD-1", headers=bob)).json()
        assert (seen["status"], seen["settling"], seen["items"][0]["price"]) == ("pending", True, None)
        assert (await orders.client.get("/", headers=bob)).json() == []
        assert await events(orders.client, "ORD-1", bob) == []
        assert await shelves.reservations("ORD-1") == {1: "held"}

        proxy.lose_answers = False
        settled = await settler(orders).settle("ORD-1")
        assert settled is not None
        assert (settled.saga, settled.due_at) == ("held", None)
        seen = (await orders.client.get("/ORD-1", headers=bob)).json()
        assert (seen["status"], seen["total"]) == ("pending", "10.00")
        assert "settling" not in seen
        assert await events(orders.client, "ORD-1", bob) == ["order_created"]
        again = await orders.client.post("/", json=ONE, headers=headers)
        # A key repeats its first answer; an id tells how the order is now.
        assert again.status_code == (202 if key else 201)
    assert await shelves.left("SKU-1") == 9


async def test_inventory_answers_late(
    orders_app: OrdersApp, neighbours: list[Neighbour], shelves: Shelves, bob: Headers
) -> None:
    """Out of time is 202 too, and the same request again finds the order placed."""
    await shelves.add("SKU-1", 10)
    async with (
        FaultyProxy.before(neighbours[1].port) as proxy,
        orders_app(INVENTORY_URL=proxy.url, INVENTORY_TIMEOUT_SECONDS="0.3") as orders,
    ):
        proxy.delay_seconds = 1.0
        assert (await orders.client.post("/", json=ONE, headers=bob)).status_code == 202
        proxy.delay_seconds = 0.0
        again = await orders.client.post("/", json=ONE, headers=bob)
        assert again.status_code == 201, again.text
        assert again.headers["idempotency-replayed"] == "true"
    assert await shelves.left("SKU-1") == 9


async def test_refused_behind_a_lost_answer(
    orders_app: OrdersApp, neighbours: list[Neighbour], shelves: Shelves, bob: Headers
) -> None:
    """The 202's Location then says rejected, and why; the id is free again."""
    await shelves.add("SKU-1", 0)
    async with FaultyProxy.before(neighbours[1].port) as proxy, orders_app(INVENTORY_URL=proxy.url) as orders:
        proxy.lose_answers = True
        assert (await orders.client.post("/", json=ONE, headers=bob)).status_code == 202
        proxy.lose_answers = False
        await settler(orders).settle("ORD-1")
        seen = (await orders.client.get("/ORD-1", headers=bob)).json()
        assert (seen["status"], seen["reason"]) == (
            "rejected",
            "There is not enough stock. SKU-1: 1 wanted, 0 available.",
        )
        assert await orders.client.get("/", headers=bob) is not None
        await shelves.add("SKU-2", 1)
        other = {"id": "ORD-1", "items": [{"sku": "SKU-2", "quantity": 1}]}
        assert (await orders.client.post("/", json=other, headers=bob)).status_code == 201


async def test_past_its_deadline_an_order_is_given_up(
    orders_app: OrdersApp, neighbours: list[Neighbour], shelves: Shelves, bob: Headers, sql: asyncpg.Connection
) -> None:
    """First it leaves placing, then its stock goes back; what inventory had reserved is on the shelf again."""
    await shelves.add("SKU-1", 10)
    async with FaultyProxy.before(neighbours[1].port) as proxy, orders_app(INVENTORY_URL=proxy.url) as orders:
        proxy.lose_answers = True
        assert (await orders.client.post("/", json=ONE, headers=bob)).status_code == 202
        assert await shelves.left("SKU-1") == 9
        proxy.lose_answers = False
        await sql.execute("UPDATE orders SET deadline_at = now() - $1::interval", timedelta(seconds=1))
        settled = await settler(orders).settle("ORD-1")
        assert settled is not None
        assert (settled.saga, settled.status) == ("failed", "rejected")
        assert await shelves.reservations("ORD-1") == {1: "released"}
        assert await shelves.left("SKU-1") == 10
        placed = await orders.client.post("/", json=ONE, headers=bob)
        assert placed.status_code == 201
    assert await shelves.reservations("ORD-1") == {1: "released", 2: "held"}


async def test_cancelling_does_not_wait_for_inventory(
    client: httpx.AsyncClient, orders_app: OrdersApp, closed_url: str, place: Place, shelves: Shelves, bob: Headers
) -> None:
    """200 and 204 with inventory down; whoever settles the orders later gives the pieces back, once."""
    await shelves.add("SKU-1", 10)
    for order_id in ("ORD-1", "ORD-2"):
        assert (await place(("SKU-1", 2), id=order_id)).status_code == 201
    async with orders_app(INVENTORY_URL=closed_url) as orders:
        cancelled = await orders.client.put("/ORD-1", json={"status": "cancelled"}, headers=bob)
        deleted = await orders.client.delete("/ORD-2", headers=bob)
    assert (cancelled.status_code, cancelled.json()["status"], deleted.status_code) == (200, "cancelled", 204)
    assert await shelves.left("SKU-1") == 6
    async with orders_app() as orders:
        for order_id in ("ORD-1", "ORD-2", "ORD-1"):
            settled = await settler(orders).settle(order_id)
            assert settled is not None
            assert settled.saga == "released"
    assert await shelves.left("SKU-1") == 10


async def test_selling_does_not_wait_for_inventory(
    orders_app: OrdersApp, closed_url: str, place: Place, shelves: Shelves, ada: Headers
) -> None:
    """An admin's completed is answered at once, and inventory hears of it later."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1")
    async with orders_app(INVENTORY_URL=closed_url) as orders:
        done = await orders.client.put("/ORD-1", json={"status": "completed"}, headers=ada)
        assert (done.status_code, done.json()["status"]) == (200, "completed")
    assert await shelves.reservations("ORD-1") == {1: "held"}
    async with orders_app() as orders:
        await settler(orders).settle("ORD-1")
    assert await shelves.reservations("ORD-1") == {1: "sold"}


async def test_an_edit_that_never_reached_inventory_changes_nothing(
    client: httpx.AsyncClient, orders_app: OrdersApp, closed_url: str, place: Place, shelves: Shelves, bob: Headers
) -> None:
    """503, the old lines stand, and the next edit works."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1")
    more = {"items": [{"sku": "SKU-1", "quantity": 5}]}
    async with orders_app(INVENTORY_URL=closed_url) as orders:
        assert (await orders.client.put("/ORD-1", json=more, headers=bob)).status_code == 503
    seen = (await client.get("/ORD-1", headers=bob)).json()
    assert (seen["items"][0]["quantity"], "settling" in seen) == (2, False)
    assert (await client.put("/ORD-1", json=more, headers=bob)).json()["items"][0]["quantity"] == 5
    assert await shelves.reservations("ORD-1") == {1: "released", 3: "held"}
    assert await shelves.left("SKU-1") == 5


async def test_an_edit_behind_a_lost_answer(
    orders_app: OrdersApp, neighbours: list[Neighbour], shelves: Shelves, bob: Headers
) -> None:
    """202; meanwhile nothing else may be decided (409 with Retry-After), and then the edit stands."""
    await shelves.add("SKU-1", 10)
    async with FaultyProxy.before(neighbours[1].port) as proxy, orders_app(INVENTORY_URL=proxy.url) as orders:
        await orders.client.post("/", json=ONE, headers=bob)
        proxy.lose_answers = True
        more = {"items": [{"sku": "SKU-1", "quantity": 5}]}
        edit = await orders.client.put("/ORD-1", json=more, headers=bob)
        assert (edit.status_code, edit.json()["settling"], edit.headers["location"]) == (202, True, "ORD-1")
        # One call only: a fifth lost answer would open the breaker for seconds.
        blocked = await orders.client.delete("/ORD-1", headers=bob)
        assert (blocked.status_code, blocked.headers["retry-after"]) == (409, "1")
        proxy.lose_answers = False
        # The next change settles it first.
        done = await orders.client.put("/ORD-1", json={"status": "cancelled"}, headers=bob)
        assert (done.status_code, done.json()["items"][0]["quantity"]) == (200, 5)
        assert await events(orders.client, "ORD-1", bob) == ["order_created", "items_changed", "status_changed"]
    assert await shelves.left("SKU-1") == 10
    assert await shelves.unbalanced() == []


async def test_an_unsettled_order_is_due_for_somebody(
    orders_app: OrdersApp, neighbours: list[Neighbour], shelves: Shelves, bob: Headers, sql: Any
) -> None:
    """What a request leaves behind is found by its due time, and a settled one is not."""
    await shelves.add("SKU-1", 10)
    async with FaultyProxy.before(neighbours[1].port) as proxy, orders_app(INVENTORY_URL=proxy.url) as orders:
        proxy.lose_answers = True
        await orders.client.post("/", json=ONE, headers=bob)
        proxy.lose_answers = False
        await orders.client.post("/", json={**ONE, "id": "ORD-2"}, headers=bob)
    rows = await sql.fetch("SELECT id FROM orders WHERE due_at IS NOT NULL")
    assert [row["id"] for row in rows] == ["ORD-1"]


async def test_reactivating_before_the_release_was_heard(
    client: httpx.AsyncClient,
    orders_app: OrdersApp,
    closed_url: str,
    place: Place,
    shelves: Shelves,
    ada: Headers,
) -> None:
    """The old pieces go back first, so that the order never has them twice."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 6), id="ORD-1")
    pending = {"status": "pending"}
    async with orders_app(INVENTORY_URL=closed_url) as orders:
        assert (await orders.client.put("/ORD-1", json={"status": "cancelled"}, headers=ada)).status_code == 200
        early = await orders.client.put("/ORD-1", json=pending, headers=ada)
        assert (early.status_code, early.headers["retry-after"]) == (409, "1")
    assert (await client.put("/ORD-1", json=pending, headers=ada)).status_code == 200
    assert await shelves.reservations("ORD-1") == {1: "released", 2: "held"}
    assert await shelves.left("SKU-1") == 4


async def test_a_change_is_decided_on_what_inventory_has_decided(
    orders_app: OrdersApp, neighbours: list[Neighbour], shelves: Shelves, bob: Headers
) -> None:
    """An order that is being placed has no total yet: a change that states one settles it first, then compares."""
    await shelves.add("SKU-1", 10)
    async with FaultyProxy.before(neighbours[1].port) as proxy, orders_app(INVENTORY_URL=proxy.url) as orders:
        proxy.lose_answers = True
        assert (await orders.client.post("/", json=ONE, headers=bob)).status_code == 202
        proxy.lose_answers = False
        change = {"total": "10.00", "status": "cancelled"}
        cancelled = await orders.client.put("/ORD-1", json=change, headers=bob)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert await shelves.left("SKU-1") == 10


async def test_what_was_not_there_is_there_with_its_202(
    orders_app: OrdersApp, neighbours: list[Neighbour], shelves: Shelves, bob: Headers
) -> None:
    """Somebody has asked for the id before, and the cache remembers that there was none."""
    await shelves.add("SKU-1", 10)
    async with FaultyProxy.before(neighbours[1].port) as proxy, orders_app(INVENTORY_URL=proxy.url) as orders:
        assert (await orders.client.get("/ORD-1", headers=bob)).status_code == 404
        proxy.lose_answers = True
        accepted = await orders.client.post("/", json=ONE, headers=bob)
        assert accepted.status_code == 202
        assert (await orders.client.get(f"/{accepted.headers['location']}", headers=bob)).json()["settling"] is True
