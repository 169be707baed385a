"""What a user of the whole system relies on, through the gateway, with two replicas of each service."""

import asyncio
import os
import signal
from collections import Counter
from uuid import uuid4

import httpx
import pytest
from tests.system import Stack, sign_in

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("stack")]


async def _new_sku(http: httpx.AsyncClient, admin: dict[str, str], qty: int, price: str = "2.50") -> str:
    sku = f"T-{uuid4().hex[:10]}"
    answer = await http.post("/inventory/", json={"sku": sku, "qty": qty, "price": price}, headers=admin)
    assert answer.status_code == 201, answer.text
    return sku


async def _quantity(http: httpx.AsyncClient, caller: dict[str, str], sku: str) -> int:
    answer = await http.get(f"/inventory/by-sku/{sku}", headers=caller)
    return int(answer.json()["qty"])


async def _order(http: httpx.AsyncClient, caller: dict[str, str], sku: str, quantity: int = 1) -> httpx.Response:
    return await http.post("/orders/", json={"items": [{"sku": sku, "quantity": quantity}]}, headers=caller)


@pytest.mark.parametrize("connections", [16, 64, 200, 256])
async def test_more_buyers_than_pieces(
    stack: Stack, http: httpx.AsyncClient, admin: dict[str, str], bob: dict[str, str], connections: int
) -> None:
    """Exactly a hundred get one of a hundred pieces, all others are told so, however many ask at once."""
    sku = await _new_sku(http, admin, 100)
    buyers = max(200, connections)
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(base_url=stack.url, limits=limits, timeout=60, trust_env=False) as client:
        answers = await asyncio.gather(*(_order(client, bob, sku) for _ in range(buyers)))
    assert Counter(answer.status_code for answer in answers) == {201: 100, 409: buyers - 100}
    assert await _quantity(http, bob, sku) == 0
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert sku in refused.json()["detail"]


async def test_an_ordinary_user_orders_and_cancels(
    http: httpx.AsyncClient, admin: dict[str, str], bob: dict[str, str]
) -> None:
    """What is ordered leaves the shelf, what is cancelled comes back, and a stranger sees nothing of it."""
    sku = await _new_sku(http, admin, 10)
    created = await _order(http, bob, sku, 4)
    assert created.status_code == 201
    order = created.json()
    assert (order["status"], order["total"], order["items"]) == (
        "pending",
        "10.00",
        [{"sku": sku, "quantity": 4, "price": "2.50"}],
    )
    assert await _quantity(http, bob, sku) == 6

    email = f"{uuid4().hex}@example.com"
    registered = await http.post("/users/register", json={"name": "Eve", "email": email, "password": "a long password"})
    assert registered.status_code == 201
    eve = {"Authorization": f"Bearer {registered.json()['access_token']}"}
    for method in ("GET", "PUT", "DELETE"):
        refused = await http.request(
            method, f"/orders/{order['id']}", headers=eve, json={} if method == "PUT" else None
        )
        assert refused.status_code in {403, 404}, method
    assert (await http.get("/orders/", headers=eve)).json() == []

    cancelled = await http.put(f"/orders/{order['id']}", json={"status": "cancelled"}, headers=bob)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert await _quantity(http, bob, sku) == 10
    timeline = (await http.get(f"/orders/{order['id']}/timeline", headers=bob)).json()
    assert [event["new_value"] for event in timeline][-1] == "cancelled"


async def test_a_deactivated_account_is_out(http: httpx.AsyncClient, admin: dict[str, str]) -> None:
    """It can neither sign in nor order with the token it still has."""
    email = f"{uuid4().hex}@example.com"
    answer = await http.post("/users/register", json={"name": "Zoe", "email": email, "password": "a long password"})
    zoe = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    user_id = (await http.get("/users/me", headers=zoe)).json()["id"]
    assert (await http.put(f"/users/{user_id}", json={"is_active": False}, headers=admin)).status_code == 200
    assert (await http.get("/users/me", headers=zoe)).status_code == 401
    assert (await _order(http, zoe, "SKU-001")).status_code == 401
    login = await http.post("/users/login", json={"email": email, "password": "a long password"})
    assert login.status_code == 401


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
async def test_redis_may_go(
    stack: Stack, http: httpx.AsyncClient, admin: dict[str, str], bob: dict[str, str], how: signal.Signals
) -> None:
    """With Redis hanging, or gone, everything is still answered, and rightly."""
    sku = await _new_sku(http, admin, 10)
    pid = stack.pid_of("valkey")
    os.kill(pid, how)
    try:
        for path in ("/users/me", "/inventory/", f"/inventory/by-sku/{sku}", "/orders/", "/orders/analytics"):
            assert (await http.get(path, headers=bob)).status_code == 200, path
        assert (await _order(http, bob, sku, 3)).status_code == 201
        assert await _quantity(http, bob, sku) == 7
        await sign_in(http, "bob@example.com")
    finally:
        if how is signal.SIGSTOP:
            os.kill(pid, signal.SIGCONT)
    assert (await _order(http, bob, sku, 3)).status_code == 201
    assert await _quantity(http, bob, sku) == 4


async def test_the_contract_first_version_clients_parse(http: httpx.AsyncClient, bob: dict[str, str]) -> None:
    """Errors are JSON with a sentence in ``detail``, those of the gateway too; the prefix redirects keep the port."""
    for method, path, status in (
        ("GET", "/users/me", 401),
        ("GET", "/orders/none", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/users/metrics", 404),
        ("GET", "/users/readyz", 404),
        ("PUT", "/inventory/reservations/x/1", 404),
        ("POST", "/users/login", 400),
        ("BREW", "/orders/none", 400),
    ):
        headers = bob if "/users/" not in path else {}
        answer = await http.request(method, path, headers=headers, content=b"{" if method == "POST" else None)
        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.json()["detail"].endswith((".", "!", "?"))
    redirect = await http.get("/users")
    assert redirect.status_code == 301
    assert httpx.URL(redirect.headers["location"]).path == "/users/"
    assert str(http.base_url.join(redirect.headers["location"])).startswith(str(http.base_url))
