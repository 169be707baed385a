"""The table of statuses and saga steps, and what is said in it nowhere else."""

import asyncpg
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from microdemo_core.plugin import KernelPlugin
from microdemo_orders.machine import (
    SAGA_STEPS,
    SAGAS,
    STATUS_STEPS,
    UNDECIDED,
    UNPLACED,
    UNSETTLED,
    Saga,
    landing,
    may_step,
    saga_after,
    takes_stock,
)
from microdemo_orders.placing import RESERVED_IDS
from microdemo_orders.repository import Orders

from .conftest import Place, Shelves

pytestmark = pytest.mark.anyio


def test_every_saga_is_reached_and_unsettled_ones_go_on() -> None:
    """No dead ends but those that are meant: what is still to be said to inventory has a next step."""
    reached = {to for steps in SAGA_STEPS.values() for to in steps} | {"placing", "none"}
    assert reached == set(SAGAS)
    assert all(SAGA_STEPS[saga] for saga in UNSETTLED)
    assert set(UNDECIDED) <= set(UNSETTLED)


def test_stock_lands_where_its_status_wants_it() -> None:
    """From each saga that asks for stock, an order of any status that takes some can land."""
    for status in STATUS_STEPS:
        if takes_stock(status):
            assert may_step("placing", landing(status)), status
    for status in ("pending", *STATUS_STEPS["pending"]):
        assert may_step("editing", landing(status)), status


# Where the stock is while an order has a status and nothing is under way.
SETTLED: dict[str, tuple[Saga, ...]] = {
    "pending": ("held",),
    "processing": ("held",),
    "shipped": ("sold", "selling", "none"),
    "delivered": ("sold", "selling", "none"),
    "completed": ("sold", "selling", "none"),
    "cancelled": ("released", "releasing", "none"),
}


def test_every_step_of_the_status_has_a_step_of_the_saga() -> None:
    """And leads to where that status' stock belongs."""
    for old, sagas in SETTLED.items():
        for new in STATUS_STEPS[old]:  # type: ignore[index]  # the names are those of the table
            for saga in sagas:
                if new == "pending":
                    continue
                after = saga_after(saga, new)
                assert may_step(saga, after), (old, new, saga)
                assert after in SETTLED[new], (old, new, saga)


async def test_the_repository_refuses_other_steps(place: Place, shelves: Shelves, kernel: KernelPlugin) -> None:
    """Whoever writes a step that is not in the table has made a mistake, and nothing is written."""
    await shelves.add("SKU-1", 1)
    await place(("SKU-1", 1), id="ORD-1")
    async with kernel.database.unit_of_work() as work:
        order = await Orders(work).get("ORD-1")
        assert order is not None
        with pytest.raises(RuntimeError, match="held must not become sold"):
            await Orders(work).advance(order, "sold")


@pytest.mark.parametrize(("column", "value"), [("saga", "lost"), ("status", "paid"), ("total", "-1")])
async def test_the_database_refuses_other_names(
    place: Place, shelves: Shelves, sql: asyncpg.Connection, column: str, value: str
) -> None:
    """Its constraints repeat the two sets of names."""
    await shelves.add("SKU-1", 1)
    await place(("SKU-1", 1))
    with pytest.raises(asyncpg.CheckViolationError):
        await sql.execute(f"UPDATE orders SET {column} = '{value}'")  # noqa: S608 - our own words


async def test_visible_is_what_the_table_says(sql: asyncpg.Connection) -> None:
    """The generated column hides exactly the unplaced sagas."""
    for saga in SAGAS:
        await sql.execute(
            "INSERT INTO orders (id, user_id, status, total, items, saga) VALUES ($1, 1, 'pending', 0, '[]', $1)", saga
        )
    hidden = await sql.fetch("SELECT saga FROM orders WHERE NOT visible")
    assert {row["saga"] for row in hidden} == set(UNPLACED)


def test_no_order_is_called_like_a_route(app: Litestar) -> None:
    """An id that is a route's name could not be reached."""
    first = {
        route.path.split("/")[1] for route in app.routes if isinstance(route, HTTPRoute) and "{" not in route.path[:2]
    }
    assert first - {""} <= RESERVED_IDS
