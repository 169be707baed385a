"""The inventory service as the kernel's fixtures see it, with shelves to fill."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import event

from microdemo_core.plugin import KernelPlugin
from microdemo_core.testing.service import ServiceUnderTest
from microdemo_core.testing.tokens import Tokens
from microdemo_inventory.app import MIGRATIONS, create_app
from microdemo_inventory.settings import InventorySettings

Reserve = Callable[..., Coroutine[Any, Any, httpx.Response]]
Checkouts = Callable[[], AbstractContextManager[list[object]]]
AddItem = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


@pytest.fixture(scope="session")
def service() -> ServiceUnderTest:
    return ServiceUnderTest("inventory", create_app, InventorySettings, MIGRATIONS)


@pytest.fixture
def user(tokens: Tokens) -> dict[str, str]:
    return tokens.user(7)


@pytest.fixture
def orders(tokens: Tokens) -> dict[str, str]:
    """Headers of the orders service."""
    return tokens.service("inventory")


@pytest.fixture
def add_item(client: httpx.AsyncClient, admin: dict[str, str]) -> AddItem:
    """Creates an item over the API and answers it."""

    async def add(sku: str, qty: int = 0, **fields: Any) -> dict[str, Any]:
        answer = await client.post("/", json={"sku": sku, "qty": qty, **fields}, headers=admin)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    return add


@pytest.fixture
def reserve(client: httpx.AsyncClient, orders: dict[str, str]) -> Reserve:
    """A request of the orders service. Lines are (sku, quantity) or (sku, quantity, price)."""

    async def put(
        order_id: str, epoch: int, lines: list[tuple[Any, ...]], *, prices: str = "must_agree", **fields: Any
    ) -> httpx.Response:
        body = [dict(zip(("sku", "quantity", "price"), line, strict=False)) for line in lines]
        content = {"lines": body, "prices": prices, **fields}
        return await client.put(f"/reservations/{order_id}/{epoch}", json=content, headers=orders)

    return put


@pytest.fixture
def checkouts(kernel: KernelPlugin) -> Checkouts:
    """A block's list of what was taken from the connection pool meanwhile."""

    @contextmanager
    def counted() -> Iterator[list[object]]:
        taken: list[object] = []

        def note(*arguments: object) -> None:
            taken.append(arguments)

        pool = kernel.database.engine.sync_engine.pool
        event.listen(pool, "checkout", note)
        try:
            yield taken
        finally:
            event.remove(pool, "checkout", note)

    return counted


@pytest.fixture
async def sql(database_url: str, clean: None) -> AsyncIterator[asyncpg.Connection]:
    """The service's database, past the service."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def unbalanced(sql: asyncpg.Connection) -> list[dict[str, Any]]:
    """The SKUs whose pieces are not where the ledger says; one query, the one that everybody uses."""
    rows = await sql.fetch("SELECT * FROM stock_balances WHERE available + held + sold <> ledger")
    return [dict(row) for row in rows]


async def quantities(sql: asyncpg.Connection) -> dict[str, int]:
    return {row["sku"]: row["qty"] for row in await sql.fetch("SELECT sku, qty FROM items")}


async def balance(sql: asyncpg.Connection, sku: str) -> tuple[int, int, int]:
    """Pieces available, held and sold."""
    row = await sql.fetchrow("SELECT available, held, sold FROM stock_balances WHERE sku = $1", sku)
    return tuple(map(int, row))  # type: ignore[return-value]  # three columns
