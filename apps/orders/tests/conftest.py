"""The orders service with the real users and inventory services beside it, each on its own database."""

import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar
from redis.asyncio import Redis
from sqlalchemy import make_url

from microdemo_core.plugin import KernelPlugin
from microdemo_core.testing.databases import clone_database, truncate
from microdemo_core.testing.service import ServiceUnderTest
from microdemo_core.testing.serving import listen, serve
from microdemo_core.testing.tokens import Tokens
from microdemo_inventory import app as inventory
from microdemo_inventory.settings import InventorySettings
from microdemo_orders.app import MIGRATIONS, create_app
from microdemo_orders.settings import OrdersSettings
from microdemo_users import app as users
from microdemo_users.models import User
from microdemo_users.settings import UsersSettings

Place = Callable[..., Coroutine[Any, Any, httpx.Response]]
Stock = Callable[..., Coroutine[Any, Any, None]]
OrdersApp = Callable[..., AbstractAsyncContextManager["RunningOrders"]]

USERS = ServiceUnderTest("users", users.create_app, UsersSettings, users.MIGRATIONS)
INVENTORY = ServiceUnderTest("inventory", inventory.create_app, InventorySettings, inventory.MIGRATIONS)


# Three services, their clients and other tests share two cores here; what is asserted is never how long it took.
PATIENCE = {
    "REDIS_TIMEOUT_SECONDS": "2",
    "POOL_TIMEOUT_SECONDS": "10",
    "USERS_TIMEOUT_SECONDS": "10",
    "INVENTORY_TIMEOUT_SECONDS": "10",
    "REQUEST_TIMEOUT_SECONDS": "60",
}


class Neighbour(msgspec.Struct, frozen=True):
    """A peer in full: its app answers on ``port`` of this machine."""

    port: int
    database_url: str
    redis_url: str
    app: Litestar

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def kernel(self) -> KernelPlugin:
        return self.app.plugins.get(KernelPlugin)


class RunningOrders(msgspec.Struct, frozen=True):
    client: httpx.AsyncClient
    kernel: KernelPlugin


@pytest.fixture(scope="session")
def listening() -> tuple[socket.socket, socket.socket]:
    """For users and inventory, whose addresses the orders service must know when it starts."""
    return listen(), listen()


@pytest.fixture(scope="session")
def service(listening: tuple[socket.socket, socket.socket]) -> ServiceUnderTest:
    users_url, inventory_url = (f"http://127.0.0.1:{sock.getsockname()[1]}" for sock in listening)
    environment = {"USERS_URL": users_url, "INVENTORY_URL": inventory_url, **PATIENCE}
    return ServiceUnderTest("orders", create_app, OrdersSettings, MIGRATIONS, environment)


@pytest.fixture(scope="session")
def neighbour_apps(
    listening: tuple[socket.socket, socket.socket], postgres_url: str, redis_url: str, worker: str
) -> list[Neighbour]:
    base = int(make_url(redis_url).database or 0)
    found = []
    for number, (peer, sock) in enumerate(zip((USERS, INVENTORY), listening, strict=True), start=1):
        database_url = clone_database(postgres_url, peer.name, peer.migrations, worker=f"{worker}_orders")
        cache_url = make_url(redis_url).set(database=str(base + number)).render_as_string(hide_password=False)
        app = peer.create_app(peer.load(database_url, cache_url))
        found.append(Neighbour(sock.getsockname()[1], database_url, cache_url, app))
    return found


@pytest.fixture(scope="session")
async def neighbours(
    neighbour_apps: list[Neighbour], listening: tuple[socket.socket, socket.socket]
) -> AsyncIterator[list[Neighbour]]:
    async with serve(neighbour_apps[0].app, listening[0]), serve(neighbour_apps[1].app, listening[1]):
        yield neighbour_apps


@pytest.fixture
async def clean(database_url: str, redis_url: str, neighbours: list[Neighbour]) -> AsyncIterator[None]:
    """All three databases and caches are empty again after the test."""
    yield
    for url in (database_url, *(peer.database_url for peer in neighbours)):
        await truncate(url)
    for url in (redis_url, *(peer.redis_url for peer in neighbours)):
        async with Redis.from_url(url) as redis:
            await redis.flushdb()


@pytest.fixture
async def people(neighbours: list[Neighbour], clean: None) -> dict[str, int]:
    """Their ids by name: Ada is an admin, Bob and Eve are users, Zoe's account is closed."""
    accounts = {
        name: User(name=name, email=f"{name}@example.com", role=role, is_active=name != "Zoe")
        for name, role in (("Ada", "admin"), ("Bob", "user"), ("Eve", "user"), ("Zoe", "user"))
    }
    async with neighbours[0].kernel.database.unit_of_work() as work:
        work.session.add_all(accounts.values())
    return {name: account.id for name, account in accounts.items()}


@pytest.fixture
def ada(people: dict[str, int], tokens: Tokens) -> dict[str, str]:
    return tokens.admin(people["Ada"])


@pytest.fixture
def bob(people: dict[str, int], tokens: Tokens) -> dict[str, str]:
    return tokens.user(people["Bob"])


@pytest.fixture
def eve(people: dict[str, int], tokens: Tokens) -> dict[str, str]:
    return tokens.user(people["Eve"])


class Shelves:
    """Inventory's own door for what the tests need there."""

    def __init__(self, http: httpx.AsyncClient, admin: dict[str, str], database_url: str) -> None:
        self._http = http
        self._admin = admin
        self._database_url = database_url

    async def add(self, sku: str, qty: int, price: str | None = "10.00") -> None:
        answer = await self._http.post("/", json={"sku": sku, "qty": qty, "price": price}, headers=self._admin)
        assert answer.status_code == 201, answer.text

    async def reprice(self, sku: str, price: str) -> None:
        item = (await self._http.get(f"/by-sku/{sku}", headers=self._admin)).json()
        answer = await self._http.put(f"/{item['id']}", json={"price": price}, headers=self._admin)
        assert answer.status_code == 200, answer.text

    async def remove(self, sku: str) -> None:
        item = (await self._http.get(f"/by-sku/{sku}", headers=self._admin)).json()
        answer = await self._http.delete(f"/{item['id']}", headers=self._admin)
        assert answer.status_code == 204, answer.text

    async def knows(self, sku: str) -> bool:
        answer = await self._http.get(f"/by-sku/{sku}", headers=self._admin)
        return answer.status_code != httpx.codes.NOT_FOUND

    async def left(self, sku: str) -> int:
        answer = await self._http.get(f"/by-sku/{sku}", headers=self._admin)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["qty"])

    async def reservations(self, order_id: str) -> dict[int, str]:
        """State by epoch."""
        connection = await asyncpg.connect(self._database_url)
        try:
            rows = await connection.fetch("SELECT epoch, state FROM reservations WHERE order_id = $1", order_id)
        finally:
            await connection.close()
        return {row["epoch"]: row["state"] for row in rows}

    async def unbalanced(self) -> list[str]:
        """SKUs of which available, held and sold pieces are not what the ledger says."""
        connection = await asyncpg.connect(self._database_url)
        try:
            rows = await connection.fetch("SELECT sku FROM stock_balances WHERE available + held + sold <> ledger")
        finally:
            await connection.close()
        return [row["sku"] for row in rows]


@pytest.fixture
async def shelves(neighbours: list[Neighbour], ada: dict[str, str]) -> AsyncIterator[Shelves]:
    async with httpx.AsyncClient(base_url=neighbours[1].url) as http:
        yield Shelves(http, ada, neighbours[1].database_url)


@pytest.fixture
def place(client: httpx.AsyncClient, bob: dict[str, str]) -> Place:
    """Posts an order, Bob's unless ``by`` says otherwise. Lines are (sku, quantity) or (sku, quantity, price)."""

    async def post(*lines: tuple[Any, ...], by: dict[str, str] | None = None, key: str = "", **fields: Any) -> Any:
        items = [dict(zip(("sku", "quantity", "price"), line, strict=False)) for line in lines]
        headers = {**(by or bob), **({"Idempotency-Key": key} if key else {})}
        return await client.post("/", json={"items": items, **fields}, headers=headers)

    return post


@pytest.fixture
def orders_app(service: ServiceUnderTest, database_url: str, redis_url: str, clean: None) -> OrdersApp:
    """Another instance of the service on the same database: with other peers, other limits, a breaker of its own."""

    @asynccontextmanager
    async def run(**environment: str) -> AsyncIterator[RunningOrders]:
        changed = msgspec.structs.replace(service, environment={**service.environment, **environment})
        app = create_app(changed.load(database_url, redis_url))  # type: ignore[arg-type]  # load answers our settings
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # httpx types scopes as plain dicts
        async with (
            app.lifespan(),
            httpx.AsyncClient(transport=transport, base_url="http://orders.test", timeout=60) as client,
        ):
            yield RunningOrders(client, app.plugins.get(KernelPlugin))

    return run


@pytest.fixture
def closed_url() -> Iterator[str]:
    """An address that refuses every connection: taken, but nobody listens."""
    taken = listen()
    yield f"http://127.0.0.1:{taken.getsockname()[1]}"
    taken.close()


@pytest.fixture
async def sql(database_url: str, clean: None) -> AsyncIterator[asyncpg.Connection]:
    """The orders database, past the service."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()
