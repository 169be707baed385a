"""Reservations that take another's place: how an order's lines are edited."""

import asyncpg
import httpx
import pytest

from .conftest import AddItem, Reserve, balance, quantities, unbalanced

pytestmark = pytest.mark.anyio


async def test_an_edit_that_only_fits_with_what_it_replaces(
    add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """The replaced epoch's pieces count as available, and go back in the same step."""
    await add_item("A", 5, price=10)
    await add_item("B", 5, price=1)
    await reserve("o1", 1, [("A", 4), ("B", 5)])
    alone = await reserve("o2", 1, [("A", 5)])
    assert alone.json()["state"] == "refused"
    edited = await reserve("o1", 2, [("A", 5)], replaces=1)
    assert edited.json()["state"] == "held"
    assert await quantities(sql) == {"A": 0, "B": 5}
    assert (await reserve("o1", 1, [("A", 4), ("B", 5)])).json()["state"] == "released"
    assert (await reserve("o1", 2, [("A", 5)], replaces=1)).json() == edited.json()
    assert await balance(sql, "A") == (0, 5, 0)
    assert await unbalanced(sql) == []


async def test_a_refused_edit_leaves_the_old_lines(
    add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """Too much even so: refused with what would be available, and the old epoch stays held."""
    await add_item("A", 5, price=10)
    held = await reserve("o1", 1, [("A", 4)])
    assert held.json()["state"] == "held"
    edited = await reserve("o1", 2, [("A", 6)], replaces=1)
    assert edited.json()["refusals"] == [{"sku": "A", "reason": "short", "wanted": 6, "available": 5}]
    assert (await reserve("o1", 1, [("A", 4)])).json() == held.json()
    assert await balance(sql, "A") == (1, 4, 0)


async def test_an_edit_closes_an_epoch_that_never_came(
    client: httpx.AsyncClient, orders: dict[str, str], add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """Had the replaced reserve been lost on its way, it takes nothing when it arrives."""
    await add_item("A", 5, price=10)
    assert (await reserve("o1", 2, [("A", 1)], replaces=1)).json()["state"] == "held"
    assert (await reserve("o1", 1, [("A", 1)])).json()["state"] == "released"
    assert await quantities(sql) == {"A": 4}


async def test_an_edit_of_what_is_released_takes_its_own_pieces(
    client: httpx.AsyncClient, orders: dict[str, str], add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """An epoch that holds nothing any more lends nothing."""
    await add_item("A", 5, price=10)
    await reserve("o1", 1, [("A", 4)])
    await client.delete("/reservations/o1/1", headers=orders)
    assert (await reserve("o1", 2, [("A", 6)], replaces=1)).json()["state"] == "refused"
    assert (await reserve("o1", 3, [("A", 5)], replaces=1)).json()["state"] == "held"
    assert await quantities(sql) == {"A": 0}


@pytest.mark.parametrize("replaces", [2, 3])
async def test_only_an_older_epoch_is_replaced(add_item: AddItem, reserve: Reserve, replaces: int) -> None:
    """Itself and a later one are 422: locks go from the newer to the older."""
    answer = await reserve("o1", 2, [("A", 1)], replaces=replaces)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "replaces"
