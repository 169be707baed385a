"""What the services make of the demo: people sign in, orders can be changed, the stock follows, caches are fresh."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from microdemo_demo.environment import Databases

from .conftest import Seed, Shop

pytestmark = pytest.mark.anyio

BALANCED = "SELECT bool_and(available + held + sold = ledger) FROM stock_balances"


async def _sign_in(shop: Shop, email: str) -> dict[str, str]:
    answer = await shop.users.post("/login", json={"email": email, "password": "password123"})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def _get(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> Any:
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_bob_cancels_and_gets_back_and_edits_his_order(shop: Shop, seed: Seed, databases: Databases) -> None:
    """A seeded pending order goes through the API like any other, and every piece is accounted for."""
    await seed(now=datetime.now(UTC))
    # Somebody's; with so few pending orders, Bob need not have one.
    order = await databases.orders.fetchrow(
        "SELECT id, user_id FROM orders WHERE status = 'pending' ORDER BY id LIMIT 1"
    )
    email = await databases.users.fetchval("SELECT email FROM users WHERE id = $1", order["user_id"])
    bob, admin = await _sign_in(shop, email), await _sign_in(shop, "admin@test.com")
    path = f"/{order['id']}"
    line = (await _get(shop.orders, path, bob))["items"][0]
    stock = await databases.inventory.fetchval("SELECT qty FROM items WHERE sku = $1", line["sku"])

    async def quantity() -> int:
        assert await databases.inventory.fetchval(BALANCED)
        return int((await _get(shop.inventory, f"/by-sku/{line['sku']}", bob))["qty"]) - int(stock)

    answer = await shop.orders.put(path, json={"status": "cancelled"}, headers=bob)
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert await quantity() == line["quantity"]

    answer = await shop.orders.put(path, json={"status": "pending"}, headers=admin)
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    assert await quantity() == 0

    fewer = {"items": [{"sku": line["sku"], "quantity": line["quantity"]}, {"sku": "SKU-010", "quantity": 2}]}
    answer = await shop.orders.put(path, json=fewer, headers=bob)
    assert answer.status_code == 200, answer.text
    assert await quantity() in (0, -2)
    timeline = await _get(shop.orders, f"{path}/timeline", bob)
    assert [event["event_type"] for event in timeline] == [
        *("order_created", "status_changed", "status_changed", "items_changed")
    ]


async def test_admin_ships_and_takes_back_and_deletes(shop: Shop, seed: Seed, databases: Databases) -> None:
    """Held pieces become sold, sold ones come back from a cancelled order, and a deletion keeps the books."""
    await seed(now=datetime.now(UTC))
    admin = await _sign_in(shop, "admin@test.com")

    async def first(status: str) -> str:
        query = "SELECT id FROM orders WHERE status = $1 ORDER BY id LIMIT 1"
        return f"/{await databases.orders.fetchval(query, status)}"

    async def state(path: str) -> str:
        assert await databases.inventory.fetchval(BALANCED)
        query = "SELECT state FROM reservations WHERE order_id = $1 AND epoch = 0"
        return str(await databases.inventory.fetchval(query, path.removeprefix("/")))

    packed, shipped, pending = await first("processing"), await first("shipped"), await first("pending")
    answer = await shop.orders.put(packed, json={"status": "shipped"}, headers=admin)
    assert (answer.status_code, await state(packed)) == (200, "sold")
    answer = await shop.orders.put(shipped, json={"status": "cancelled"}, headers=admin)
    assert (answer.status_code, await state(shipped)) == (200, "released")
    answer = await shop.orders.delete(pending, headers=admin)
    assert (answer.status_code, await state(pending)) == (204, "released")


async def test_dashboards_are_alive(shop: Shop, seed: Seed) -> None:
    """Every figure that the web draws has something in it."""
    await seed(now=datetime.now(UTC))
    admin, bob = await _sign_in(shop, "admin@test.com"), await _sign_in(shop, "bob@example.com")
    people = await _get(shop.users, "/analytics", admin)
    assert (people["total_users"], people["inactive_users"], people["recent_signups_7d"]) == (25, 3, 3)
    stock = await _get(shop.inventory, "/analytics", admin)
    assert (stock["total_items"], stock["out_of_stock"], stock["low_stock"]) == (40, 3, 4)
    orders = await _get(shop.orders, "/analytics", admin)
    assert orders["total_orders"] == 460
    assert len(orders["status_breakdown"]) == 6
    assert orders["recent_orders_7d"] > 20
    assert (await _get(shop.orders, "/analytics", bob))["total_orders"] > 30
    assert (await _get(shop.orders, "/analytics/forecast?days=14", admin))["anomalies"]
    days = (await _get(shop.orders, "/analytics/timeseries?days=91", admin))["series"]
    assert sum(day["orders"] for day in days) == 460
    assert days[-1]["orders"] > 0


async def test_deactivated_accounts_cannot_sign_in(shop: Shop, seed: Seed) -> None:
    """They are there to be seen by an admin."""
    await seed()
    answer = await shop.users.post("/login", json={"email": "greta.lindqvist@example.com", "password": "password123"})
    assert answer.status_code == 401


async def test_services_see_new_data_at_once(shop: Shop, seed: Seed, redis_base: str) -> None:
    """What they remembered of the time before, empty lists and unknown ids among it, is forgotten."""
    now = datetime.now(UTC)
    await seed(now=now, redis_url=redis_base)
    admin = await _sign_in(shop, "admin@test.com")

    async def figures() -> list[int]:
        paths = (shop.users, "/analytics"), (shop.orders, "/analytics"), (shop.orders, "/?limit=1&status=completed")
        people, orders, newest = [await _get(client, path, admin) for client, path in paths]
        unknown = await shop.orders.get("/DEMO-0000461", headers=admin)
        return [people["total_users"], orders["total_orders"], len(newest), unknown.status_code]

    assert await figures() == [25, 460, 1, 404]
    await seed(600, now + timedelta(seconds=1), redis_url=redis_base)
    assert await figures() == [27, 600, 1, 200]
