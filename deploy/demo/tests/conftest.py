"""The three databases, migrated and empty, a Valkey, and on demand the three services on them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import msgspec
import pytest

from microdemo_core.testing.databases import clone_database, truncate
from microdemo_core.testing.servers import valkey
from microdemo_core.testing.service import ServiceUnderTest
from microdemo_core.testing.serving import listen, serve
from microdemo_demo.environment import Databases, connect
from microdemo_demo.seeding import Seeder
from microdemo_inventory import app as inventory
from microdemo_inventory.settings import InventorySettings
from microdemo_orders import app as orders
from microdemo_orders.settings import OrdersSettings
from microdemo_users import app as users
from microdemo_users.settings import UsersSettings

NOW: Final = datetime(2026, 11, 18, 15, 20, 7, 123456, tzinfo=UTC)

Seed = Callable[..., Coroutine[Any, Any, "Seeded"]]


class Seeded(msgspec.Struct, frozen=True):
    """How many orders a run added, and what it said."""

    added: int
    said: list[str]


class Shop(msgspec.Struct, frozen=True):
    """The services as the gateway shows them: one client each."""

    users: httpx.AsyncClient
    orders: httpx.AsyncClient
    inventory: httpx.AsyncClient


@pytest.fixture(scope="session")
def redis_base() -> Iterator[str]:
    """A server of its own: the seeder takes databases 0 to 2, which are other tests' on the common one."""
    with valkey() as server:
        yield server.url


@pytest.fixture(scope="session")
def environment(postgres_url: str, worker: str) -> dict[str, str]:
    """What the seeder is told; the databases are not those of the services' own tests."""
    parts = {"users": users.MIGRATIONS, "orders": orders.MIGRATIONS, "inventory": inventory.MIGRATIONS}
    urls = {
        f"{name.upper()}_DATABASE_URL": clone_database(postgres_url, name, migrations, worker=f"{worker}_demo")
        for name, migrations in parts.items()
    }
    return {"ENVIRONMENT": "local", **urls}


@pytest.fixture
def emptied(environment: dict[str, str]) -> Iterator[None]:
    """Empty tables once the test is over."""
    yield
    asyncio.run(empty(environment))


@pytest.fixture
async def databases(environment: dict[str, str], emptied: None) -> AsyncIterator[Databases]:
    """A connection to each."""
    async with connect(environment) as connections:
        yield connections


@pytest.fixture
def seed(databases: Databases, environment: dict[str, str]) -> Seed:
    """One run of the seeder, on connections of its own."""

    async def run(orders: int = 0, now: datetime = NOW, *, redis_url: str | None = None) -> Seeded:
        said: list[str] = []
        async with connect(environment) as connections:
            added = await Seeder(connections, said.append, redis_url=redis_url).seed(orders, now)
        return Seeded(added, said)

    return run


@pytest.fixture
async def shop(databases: Databases, environment: Mapping[str, str], redis_base: str) -> AsyncIterator[Shop]:
    """All three services at work on the databases, inventory and users on sockets, since orders calls them."""
    sockets = {"users": listen(), "inventory": listen()}
    peers = {f"{name.upper()}_URL": f"http://127.0.0.1:{sock.getsockname()[1]}" for name, sock in sockets.items()}
    services = (
        ServiceUnderTest("users", users.create_app, UsersSettings, users.MIGRATIONS),
        ServiceUnderTest("orders", orders.create_app, OrdersSettings, orders.MIGRATIONS, peers),
        ServiceUnderTest("inventory", inventory.create_app, InventorySettings, inventory.MIGRATIONS),
    )
    async with AsyncExitStack() as stack:
        clients = {}
        for number, service in enumerate(services):
            url = environment[f"{service.name.upper()}_DATABASE_URL"]
            app = service.create_app(service.load(url, f"{redis_base}/{number}"))
            if service.name in sockets:
                await stack.enter_async_context(serve(app, sockets[service.name]))
                client = httpx.AsyncClient(base_url=peers[f"{service.name.upper()}_URL"], timeout=60)
            else:
                await stack.enter_async_context(app.lifespan())
                transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # httpx types scopes as plain dicts
                client = httpx.AsyncClient(base_url="http://orders.test", transport=transport, timeout=60)
            clients[service.name] = await stack.enter_async_context(client)
        yield Shop(**clients)


async def contents(databases: Databases) -> dict[str, list[str]]:
    """Every row of every table, but for the passwords' hashes, which have salts."""
    found = {}
    for service in databases.__struct_fields__:
        connection = getattr(databases, service)
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        for (table,) in tables:
            query = f"SELECT to_jsonb(t) - 'password_hash' AS row FROM {table} t"  # noqa: S608 - a name of our own
            rows = await connection.fetch(query)
            found[f"{service}.{table}"] = sorted(row["row"] for row in rows)
    return found


async def empty(environment: Mapping[str, str]) -> None:
    for variable, url in environment.items():
        if variable.endswith("_DATABASE_URL"):
            await truncate(url)


async def check(databases: Databases) -> None:
    """That the three databases agree with themselves and with each other, order by order and piece by piece."""
    unbalanced = await databases.inventory.fetch(
        "SELECT * FROM stock_balances WHERE available + held + sold <> ledger OR available < 0"
    )
    assert unbalanced == []
    reservations = await databases.inventory.fetch(
        """
        SELECT r.order_id, r.epoch, r.state, coalesce(jsonb_agg(
            jsonb_build_object('sku', l.sku, 'quantity', l.quantity, 'price', l.price::text) ORDER BY l.line
        ) FILTER (WHERE l.line IS NOT NULL), '[]')::text AS lines, coalesce(bool_and(l.sold), r.state = 'sold') AS sold
        FROM reservations r LEFT JOIN reservation_lines l USING (order_id, epoch) GROUP BY 1, 2
        """
    )
    found = await databases.orders.fetch(
        """
        SELECT o.id, o.user_id, o.status, o.total, o.items::text AS items, o.version, o.epoch, o.held_epoch, o.saga,
            o.created_at, o.updated_at, o.visible,
            (SELECT sum(quantity * price) FROM order_items i WHERE i.order_id = o.id) AS sum_of_lines,
            (SELECT array_agg(array[event_type, old_value, new_value] ORDER BY e.id) FROM order_events e
             WHERE e.order_id = o.id) AS events,
            (SELECT array_agg(created_at ORDER BY e.id) FROM order_events e WHERE e.order_id = o.id) AS moments
        FROM orders o
        """
    )
    by_order = {row["order_id"]: row for row in reservations}
    assert {row["id"] for row in found} == set(by_order)
    assert len(by_order) == len(reservations)
    accounts = {row["id"]: row["created_at"] for row in await databases.users.fetch("SELECT id, created_at FROM users")}
    for order in found:
        _check_order(order, by_order[order["id"]])
        assert accounts[order["user_id"]] <= order["created_at"]


def _check_order(order: Mapping[str, Any], reservation: Mapping[str, Any]) -> None:
    assert order["visible"]
    assert order["total"] == order["sum_of_lines"] > 0
    status, state = order["status"], reservation["state"]
    assert order["saga"] == state == _STATES.get(status, "sold")
    assert reservation["epoch"] == order["epoch"] == 0
    lines = json.loads(reservation["lines"])
    if state == "released":
        assert (lines, order["held_epoch"]) == ([], None)
    else:
        assert (lines, order["held_epoch"]) == (json.loads(order["items"]), 0)
        assert reservation["sold"] == (state == "sold")
    kinds, before, after = zip(*order["events"], strict=True)
    assert kinds == ("order_created", *["status_changed"] * (len(kinds) - 1))
    assert before == (None, *after[:-1])
    assert after[-1] == status
    assert len(kinds) == order["version"]
    moments = order["moments"]
    assert moments == sorted(moments)
    assert (moments[0], moments[-1]) == (order["created_at"], order["updated_at"])


_STATES: Final = {"pending": "held", "processing": "held", "cancelled": "released"}
