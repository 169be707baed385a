"""Several drivers of one order, and what happens between an answer and what is made of it."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from microdemo_core.plugin import KernelPlugin
from microdemo_orders.changing import Changing
from microdemo_orders.customers import Customers
from microdemo_orders.errors import ChangedMeanwhile
from microdemo_orders.intent import Actor, Intent
from microdemo_orders.repository import Orders
from microdemo_orders.schemas import ItemInput, OrderUpdate
from microdemo_orders.settling import Settler
from microdemo_orders.stock import Line, Reservation, ReservationRequest, Stock

from .conftest import Neighbour, OrdersApp, Place, Shelves
from .driving import ONE, Headers, events, settler
from .proxy import FaultyProxy

pytestmark = pytest.mark.anyio


class _Interrupted(Stock):
    """Something else happens between inventory's answer and what its asker makes of it."""

    def __init__(self, kernel: KernelPlugin, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(kernel.peers["inventory"], kernel.signer)
        self._meanwhile = meanwhile

    async def reserve(self, *arguments: Any, **options: Any) -> Reservation:
        answer = await super().reserve(*arguments, **options)
        await self._meanwhile()
        return answer


async def test_a_late_confirmation_finds_the_order_gone(
    orders_app: OrdersApp, neighbours: list[Neighbour], shelves: Shelves, bob: Headers, sql: asyncpg.Connection
) -> None:
    """One driver hears "held" while another gives the order up: it stays given up, without stock and without event."""
    await shelves.add("SKU-1", 10)
    async with FaultyProxy.before(neighbours[1].port) as proxy, orders_app(INVENTORY_URL=proxy.url) as orders:
        proxy.lose_answers = True
        assert (await orders.client.post("/", json=ONE, headers=bob)).status_code == 202
        proxy.lose_answers = False

        async def give_up() -> None:
            await sql.execute("UPDATE orders SET deadline_at = now() - interval '1 second'")
            await settler(orders).settle("ORD-1")

        late = Settler(orders.kernel.database, _Interrupted(orders.kernel, give_up))
        settled = await late.settle("ORD-1")
        assert settled is not None
        assert (settled.saga, await shelves.left("SKU-1")) == ("failed", 10)
        assert await events(orders.client, "ORD-1", bob) == []


async def test_nobody_withdraws_what_others_have_tried(
    orders_app: OrdersApp, closed_url: str, shelves: Shelves, bob: Headers, sql: asyncpg.Connection
) -> None:
    """Not reached by this one says nothing of the others: the order stays to be settled, and its id is not free."""
    await shelves.add("SKU-1", 10)
    async with orders_app() as orders:
        await orders.client.post("/", json=ONE, headers=bob)
    intent = (
        '{"request":{"lines":[{"sku":"SKU-1","quantity":1}],"prices":"must_agree"},"status":"pending",'
        '"user_id":2,"actor":{"user_id":2,"correlation_id":null}}'
    )
    # As it is while one request asks inventory, and another has taken it up too.
    await sql.execute(
        "UPDATE orders SET saga = 'placing', intent = $1, version = 0, held_epoch = NULL, attempts = 2", intent
    )
    async with orders_app(INVENTORY_URL=closed_url) as orders:
        driver = settler(orders)
        placing = await driver._read("ORD-1")
        assert placing is not None
        assert (await driver.begin(placing)).saga == "placing"


async def test_the_database_goes_away_behind_the_reservation(
    orders_app: OrdersApp,
    neighbours: list[Neighbour],
    shelves: Shelves,
    bob: Headers,
    sql: asyncpg.Connection,
    kernel: KernelPlugin,
) -> None:
    """What is stored and reserved will be placed, so its request does not report a failure."""
    await shelves.add("SKU-1", 10)
    async with FaultyProxy.before(neighbours[1].port) as proxy, orders_app(INVENTORY_URL=proxy.url) as orders:
        proxy.lose_answers = True
        assert (await orders.client.post("/", json=ONE, headers=bob)).status_code == 202
        proxy.lose_answers = False

        async def cut_off() -> None:
            await sql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'orders' AND datname = current_database()"
            )

        driver = settler(orders)
        placing = await driver._read("ORD-1")
        assert placing is not None
        cut = Settler(orders.kernel.database, _Interrupted(orders.kernel, cut_off))
        assert (await cut.begin(placing)).saga == "placing"
        settled = await driver.settle("ORD-1")
        assert settled is not None
        assert settled.saga == "held"
    assert await shelves.left("SKU-1") == 9
    # The connections of the app that other tests share were cut off too.
    await kernel.database.close()


async def test_a_driver_leaves_the_next_attempt_alone(
    orders_app: OrdersApp, neighbours: list[Neighbour], shelves: Shelves, bob: Headers, people: dict[str, int]
) -> None:
    """Its own was refused, and a request that may still withdraw has placed the id anew: it reserves nothing there."""
    await shelves.add("SKU-1", 0)
    await shelves.add("SKU-2", 10)
    async with FaultyProxy.before(neighbours[1].port) as proxy, orders_app(INVENTORY_URL=proxy.url) as orders:
        proxy.lose_answers = True
        assert (await orders.client.post("/", json=ONE, headers=bob)).status_code == 202
        proxy.lose_answers = False
        request = ReservationRequest(lines=[Line("SKU-2", 1)], prices="must_agree")
        intent = Intent(request=request, status="pending", user_id=people["Bob"], actor=Actor(people["Bob"], None))

        async def refused_and_placed_anew() -> None:
            await settler(orders).settle("ORD-1")
            async with orders.kernel.database.single_statement() as work:
                anew = await Orders(work).insert(
                    "placing",
                    id="ORD-1",
                    user_id=people["Bob"],
                    status="pending",
                    items=[],
                    total=0,
                    intent=intent,
                    attempts=1,
                )
            assert anew is not None
            assert anew.epoch == 2

        late = Settler(orders.kernel.database, _Interrupted(orders.kernel, refused_and_placed_anew))
        settled = await late.settle("ORD-1")
        assert settled is not None
        assert (settled.saga, settled.epoch) == ("placing", 2)
    assert await shelves.reservations("ORD-1") == {1: "refused"}


async def test_an_edit_that_was_overtaken(
    client: httpx.AsyncClient, orders_app: OrdersApp, place: Place, shelves: Shelves, bob: Headers, people: Any
) -> None:
    """Refused, but before it hears so the next edit has begun: 409, not the other's lines as if they were its own."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1")
    async with orders_app() as orders:

        async def overtake() -> None:
            await settler(orders).settle("ORD-1")
            less = {"items": [{"sku": "SKU-1", "quantity": 1}]}
            assert (await client.put("/ORD-1", json=less, headers=bob)).status_code == 200

        kernel = orders.kernel
        late = Settler(kernel.database, _Interrupted(kernel, overtake))
        changing = Changing(kernel.database, late, Customers(kernel.peers["users"], kernel.signer))
        caller = kernel.verifier.verify(bob["Authorization"].removeprefix("Bearer "))
        with pytest.raises(ChangedMeanwhile):
            await changing.update(caller, "ORD-1", OrderUpdate(items=[ItemInput("SKU-1", 11)]))
    assert (await client.get("/ORD-1", headers=bob)).json()["items"][0]["quantity"] == 1
