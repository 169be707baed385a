"""Placing an order: who may, at what price, and what is left on the shelf."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from .conftest import Neighbour, OrdersApp, Place, Shelves
from .proxy import FaultyProxy

pytestmark = pytest.mark.anyio

Headers = dict[str, str]


async def test_a_user_orders(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers, people: dict[str, int]
) -> None:
    """An ordinary user gets the order at the catalogue's prices, and the pieces are gone from the shelf."""
    await shelves.add("SKU-1", 10, "9.99")
    await shelves.add("SKU-2", 5, "0.50")
    answer = await place(("SKU-1", 2), ("SKU-2", 1))
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert order["user_id"] == people["Bob"]
    assert (order["status"], order["total"], order["version"]) == ("pending", "20.48", 1)
    assert order["items"] == [
        {"sku": "SKU-1", "quantity": 2, "price": "9.99"},
        {"sku": "SKU-2", "quantity": 1, "price": "0.50"},
    ]
    assert "settling" not in order
    assert answer.headers["location"] == order["id"]
    assert (await client.get(f"/{order['id']}", headers=bob)).json() == order
    assert (await shelves.left("SKU-1"), await shelves.left("SKU-2")) == (8, 4)
    assert await shelves.unbalanced() == []


async def test_lines_of_one_sku_are_merged(place: Place, shelves: Shelves) -> None:
    """The same SKU twice at one price is one line of the sum."""
    await shelves.add("SKU-1", 10)
    answer = await place(("SKU-1", 2, 10), ("SKU-1", 3, "10.00"))
    assert answer.json()["items"] == [{"sku": "SKU-1", "quantity": 5, "price": "10.00"}]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"items": []}, "items"),
        ({"items": [{"sku": "A", "quantity": 0}]}, "items[0].quantity"),
        ({"items": [{"sku": "A", "quantity": 10_001}]}, "items[0].quantity"),
        ({"items": [{"sku": "A", "quantity": 6_000}, {"sku": "A", "quantity": 6_000}]}, "items[1].quantity"),
        (
            {"items": [{"sku": "A", "quantity": 1, "price": 1}, {"sku": "A", "quantity": 1, "price": 2}]},
            "items[1].price",
        ),
        ({"items": [{"sku": "A", "quantity": 1, "price": "NaN"}]}, "items[0].price"),
        ({"items": [{"sku": "A", "quantity": 1, "price": -1}]}, "items[0].price"),
        ({"items": [{"sku": "A", "quantity": 1, "price": 1e300}]}, "items[0].price"),
        ({"items": [{"sku": "A/B", "quantity": 1}]}, "items[0].sku"),
        ({"items": [{"sku": "A", "quantity": 1}] * 101}, "items"),
        ({"items": [{"sku": "A", "quantity": 1}], "total": "-0.01"}, "total"),
        ({"items": [{"sku": "A", "quantity": 1}], "id": "-x"}, "id"),
        ({"items": [{"sku": "A", "quantity": 1}], "id": "x\n"}, "id"),
        ({"items": [{"sku": "A", "quantity": 1}], "id": "analytics"}, "id"),
        ({"items": [{"sku": "A", "quantity": 1}], "status": "rejected"}, "status"),
        ({"items": [{"sku": "A", "quantity": 1}], "user_id": -1}, "user_id"),
    ],
)
async def test_what_makes_no_order_is_422(
    client: httpx.AsyncClient, bob: Headers, sql: asyncpg.Connection, body: dict[str, Any], field: str
) -> None:
    """Each wrong field is named, and nothing is written."""
    answer = await client.post("/", json=body, headers=bob)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await sql.fetchval("SELECT count(*) FROM orders") == 0


async def test_a_stated_price_must_agree(place: Place, shelves: Shelves) -> None:
    """A user's price or total that is not ours is refused, and the answer names both."""
    await shelves.add("SKU-1", 10, "9.99")
    price = await place(("SKU-1", 1, "9.98"))
    total = await place(("SKU-1", 2), total=19.97)
    assert (price.status_code, total.status_code) == (409, 409)
    assert "9.98" in price.json()["detail"]
    assert "9.99" in price.json()["detail"]
    assert price.json()["prices"] == [{"sku": "SKU-1", "reason": "price", "stated": "9.98", "actual": "9.99"}]
    assert "19.97" in total.json()["detail"]
    assert "19.98" in total.json()["detail"]
    assert await shelves.left("SKU-1") == 10


async def test_amounts_are_compared_after_rounding(place: Place, shelves: Shelves) -> None:
    """What a client computed in floats is the same amount."""
    await shelves.add("SKU-1", 10, "0.10")
    answer = await place(("SKU-1", 3, 0.1), total=0.30000000000000004)
    assert (answer.status_code, answer.json()["total"]) == (201, "0.30")


async def test_an_unknown_sku_is_422(place: Place, shelves: Shelves) -> None:
    """It is named, and the known one beside it is not taken."""
    await shelves.add("SKU-1", 10)
    answer = await place(("SKU-1", 1), ("NOPE", 1))
    assert answer.status_code == 422
    assert "NOPE" in answer.json()["detail"]
    assert answer.json()["errors"][0]["field"] == "items"
    assert await shelves.left("SKU-1") == 10


async def test_a_shortage_is_409(client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers) -> None:
    """It names SKU, wanted and available; the refused order is in no list, and takes nothing."""
    await shelves.add("SKU-1", 3)
    await shelves.add("SKU-2", 9)
    answer = await place(("SKU-1", 5), ("SKU-2", 1), id="ORD-1")
    assert answer.status_code == 409
    assert answer.json()["shortages"] == [{"sku": "SKU-1", "wanted": 5, "available": 3}]
    assert answer.json()["detail"] == "There is not enough stock. SKU-1: 5 wanted, 3 available."
    assert (await shelves.left("SKU-1"), await shelves.left("SKU-2")) == (3, 9)
    listing = await client.get("/", headers=bob)
    assert (listing.json(), listing.headers["x-total-count"]) == ([], "0")
    rejected = (await client.get("/ORD-1", headers=bob)).json()
    assert (rejected["status"], rejected["reason"]) == ("rejected", answer.json()["detail"])


async def test_an_unpriced_sku_sells_only_at_an_admins_price(place: Place, shelves: Shelves, ada: Headers) -> None:
    """A user cannot name a price where the catalogue has none."""
    await shelves.add("SKU-1", 10, None)
    assert (await place(("SKU-1", 1))).status_code == 409
    assert (await place(("SKU-1", 1, "5.00"))).status_code == 409
    assert (await place(("SKU-1", 1), by=ada)).status_code == 409
    sold = await place(("SKU-1", 1, "5.00"), by=ada)
    assert (sold.status_code, sold.json()["total"]) == (201, "5.00")


async def test_an_admins_price_stands(client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers) -> None:
    """It is what the order costs, and the audit trail says by how much it differs."""
    await shelves.add("SKU-1", 10, "10.00")
    order = (await place(("SKU-1", 2, "7.50"), by=ada)).json()
    assert order["total"] == "15.00"
    (event,) = (await client.get(f"/{order['id']}/timeline", headers=ada)).json()
    assert event["event_type"] == "order_created"
    assert "SKU-1 at 7.50 instead of 10.00" in event["description"]
    assert event["correlation_id"]


async def test_an_admin_orders_for_others(
    place: Place, shelves: Shelves, ada: Headers, bob: Headers, people: dict[str, int]
) -> None:
    """Only an admin may, and the account must be there and active; 0 is the caller."""
    await shelves.add("SKU-1", 10)
    given = await place(("SKU-1", 1), by=ada, user_id=people["Bob"])
    assert (given.status_code, given.json()["user_id"]) == (201, people["Bob"])
    own = await place(("SKU-1", 1), user_id=0)
    assert own.json()["user_id"] == people["Bob"]
    assert (await place(("SKU-1", 1), by=bob, user_id=people["Eve"])).status_code == 403
    for nobody in (people["Zoe"], 999):
        refused = await place(("SKU-1", 1), by=ada, user_id=nobody)
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == ["user_id"]
    assert await shelves.left("SKU-1") == 8


async def test_a_closed_account_orders_nothing(place: Place, shelves: Shelves, tokens: Any, people: Any) -> None:
    """Its token is still good, but the users service says that it is not."""
    await shelves.add("SKU-1", 10)
    answer = await place(("SKU-1", 1), by=tokens.user(people["Zoe"]))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_admin_creates_in_any_status(place: Place, shelves: Shelves, ada: Headers, bob: Headers) -> None:
    """Shipped is sold at once, cancelled takes no stock, and a user may only say pending."""
    await shelves.add("SKU-1", 10, "3.00")
    assert (await place(("SKU-1", 1), by=bob, status="processing")).status_code == 403
    assert (await place(("SKU-1", 1), by=bob, status="pending")).status_code == 201
    for status, reservation in (("processing", "held"), ("shipped", "sold"), ("completed", "sold")):
        order = (await place(("SKU-1", 1), by=ada, status=status)).json()
        assert order["status"] == status
        assert await shelves.reservations(order["id"]) == {1: reservation}
    cancelled = (await place(("SKU-1", 4), by=ada, status="cancelled")).json()
    assert (cancelled["status"], cancelled["total"]) == ("cancelled", "12.00")
    assert await shelves.reservations(cancelled["id"]) == {}
    assert (await place(("NOPE", 1), by=ada, status="cancelled")).status_code == 422
    assert await shelves.left("SKU-1") == 6
    assert await shelves.unbalanced() == []


async def test_two_hundred_for_a_hundred_pieces(orders_app: OrdersApp, shelves: Shelves, bob: Headers) -> None:
    """200 concurrent one-piece orders on 100 pieces: 100 get one, 100 are refused, none is left over or oversold."""
    await shelves.add("SKU-1", 100)
    body = {"items": [{"sku": "SKU-1", "quantity": 1}]}
    # All three services share this test's event loop, so the last in line waits longer than production allows.
    patience = {"REQUEST_TIMEOUT_SECONDS": "120", "PLACING_WAIT_SECONDS": "120"}
    async with orders_app(**patience) as orders:
        answers = await asyncio.gather(*(orders.client.post("/", json=body, headers=bob) for _ in range(200)))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(201), codes.count(409)) == (100, 100), set(codes)
    assert await shelves.left("SKU-1") == 0
    assert await shelves.unbalanced() == []


async def test_no_connection_is_held_while_peers_are_asked(
    orders_app: OrdersApp, neighbours: list[Neighbour], shelves: Shelves, bob: Headers
) -> None:
    """With a pool of one connection and answers that take longer than the wait for it, 20 orders at once succeed."""
    await shelves.add("SKU-1", 100)
    body = {"items": [{"sku": "SKU-1", "quantity": 1}]}
    async with (
        FaultyProxy.before(neighbours[1].port) as proxy,
        orders_app(
            INVENTORY_URL=proxy.url,
            POOL_SIZE="1",
            POOL_TIMEOUT_SECONDS="0.8",
            INVENTORY_TIMEOUT_SECONDS="20",
            USERS_TIMEOUT_SECONDS="20",
            PLACING_AT_ONCE="20",
            REQUEST_TIMEOUT_SECONDS="60",
        ) as orders,
    ):
        proxy.delay_seconds = 1.0
        answers = await asyncio.gather(*(orders.client.post("/", json=body, headers=bob) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert await shelves.left("SKU-1") == 80


async def test_too_many_at_once_is_503(orders_app: OrdersApp, shelves: Shelves, bob: Headers, sql: Any) -> None:
    """Who waits too long at the door is sent away with Retry-After, and nothing of the order is written."""
    await shelves.add("SKU-1", 100)
    body = {"items": [{"sku": "SKU-1", "quantity": 1}]}
    async with orders_app(PLACING_AT_ONCE="1", PLACING_WAIT_SECONDS="0.001") as orders:
        answers = await asyncio.gather(*(orders.client.post("/", json=body, headers=bob) for _ in range(10)))
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused
    assert all(answer.headers["retry-after"] == "2" for answer in refused)
    placed = sum(answer.status_code == 201 for answer in answers)
    assert placed + len(refused) == 10
    assert await sql.fetchval("SELECT count(*) FROM orders") == placed


async def test_the_dearest_line_there_is(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers
) -> None:
    """The most pieces at the highest price: exact wherever it is stored, summed and shown."""
    await shelves.add("SKU-1", 10_000, "99999999.99")
    order = (await place(("SKU-1", 10_000, "99999999.99"), by=ada, total="999999999900.00")).json()
    assert order["total"] == "999999999900.00"
    assert (await client.get("/analytics", headers=ada)).json()["total_revenue"] == "999999999900.00"
    assert (await client.put(f"/{order['id']}", json={"status": "cancelled"}, headers=ada)).status_code == 200
    assert await shelves.left("SKU-1") == 10_000
