"""Reservations, one at a time: what is decided, and that it is decided once."""

from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import pytest

from .conftest import AddItem, Reserve, balance, quantities, unbalanced

pytestmark = pytest.mark.anyio


async def test_stock_is_held(add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection) -> None:
    """All lines at the catalogue's prices, one for one in the request's order, and the sum."""
    await add_item("B", 5, price="2.50")
    await add_item("A", 9, price=10)
    answer = await reserve("o-1", 1, [("B", 2), ("A", 3)])
    assert answer.status_code == 200
    assert answer.json() == {
        "order_id": "o-1",
        "epoch": 1,
        "state": "held",
        "lines": [
            {"sku": "B", "quantity": 2, "price": "2.50"},
            {"sku": "A", "quantity": 3, "price": "10.00"},
        ],
        "total": "35.00",
        "refusals": [],
    }
    assert await quantities(sql) == {"A": 6, "B": 3}
    assert await unbalanced(sql) == []


async def test_it_is_decided_once(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """The same request again is answered the same, whatever the catalogue says by then, and takes nothing."""
    item = await add_item("A", 9, price=10)
    first = await reserve("o1", 1, [("A", 3)])
    await client.put(f"/{item['id']}", json={"price": 99}, headers=admin)
    again = await reserve("o1", 1, [("A", 3)])
    assert again.json() == first.json()
    assert again.json()["lines"] == [{"sku": "A", "quantity": 3, "price": "10.00"}]
    assert await quantities(sql) == {"A": 6}


@pytest.mark.parametrize("wanted", [{"lines": [("A", 3, "10.004")]}, {"lines": [("A", 3, 10)], "total": None}])
async def test_less_than_a_cent_is_no_difference(add_item: AddItem, reserve: Reserve, wanted: dict[str, Any]) -> None:
    """Amounts are compared after rounding, and null is as good as absent."""
    await add_item("A", 9, price=10)
    first = await reserve("o1", 1, [("A", 3, "10.00")])
    again = await reserve("o1", 1, **wanted)
    assert again.json() == first.json()
    assert again.json()["state"] == "held"


@pytest.mark.parametrize(
    "other",
    [
        {"lines": [("A", 2)]},
        {"lines": [("B", 3)]},
        {"lines": [("A", 3), ("B", 1)]},
        {"lines": [("A", 3, 10)]},
        {"lines": [("A", 3)], "total": 30},
        {"lines": [("A", 3)], "prices": "as_stated"},
        {"lines": [("A", 3)], "replaces": 0},
    ],
)
@pytest.mark.parametrize("stock", [9, 0])
async def test_another_request_for_the_same_epoch_is_a_mismatch(
    add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection, other: dict[str, Any], stock: int
) -> None:
    """409, whether the epoch was held or refused, and nothing moves."""
    await add_item("A", stock, price=10)
    await add_item("B", 9, price=1)
    await reserve("o1", 1, [("A", 3)])
    before = await quantities(sql)
    answer = await reserve("o1", 1, **other)
    assert answer.status_code == 409
    assert "another request" in answer.json()["detail"]
    assert await quantities(sql) == before


async def test_all_or_nothing_with_every_refusal(add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection) -> None:
    """One bad line takes nothing for any, and each thing that is wrong is said, in the order of the lines."""
    await add_item("GOOD", 9, price=10)
    await add_item("FEW", 2, price=10)
    await add_item("NONE", 0, price=10)
    await add_item("FREE", 9)
    lines = [("GOOD", 1, 11), ("FEW", 3), ("NONE", 1, 10), ("FREE", 1), ("GONE", 7), ("FEW", 1, 9)]
    answer = await reserve("o1", 1, lines, total=1)
    assert answer.status_code == 200
    decided = answer.json()
    assert (decided["state"], decided["lines"], decided["total"]) == ("refused", [], None)
    assert decided["refusals"] == [
        {"sku": "GOOD", "reason": "price", "stated": "11.00", "actual": "10.00"},
        {"sku": "FEW", "reason": "short", "wanted": 4, "available": 2},
        {"sku": "NONE", "reason": "short", "wanted": 1, "available": 0},
        {"sku": "FREE", "reason": "unpriced"},
        {"sku": "GONE", "reason": "unknown", "wanted": 7},
        {"sku": "FEW", "reason": "price", "stated": "9.00", "actual": "10.00"},
    ]
    assert await quantities(sql) == {"GOOD": 9, "FEW": 2, "NONE": 0, "FREE": 9}
    assert await sql.fetchval("SELECT count(*) FROM reservation_lines") == 0


async def test_a_refusal_stands(add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection) -> None:
    """More stock later does not change what was decided; another epoch is decided anew."""
    await add_item("A", 1, price=10)
    first = await reserve("o1", 1, [("A", 2)])
    await sql.execute("UPDATE items SET qty = 9")
    assert (await reserve("o1", 1, [("A", 2)])).json() == first.json()
    assert (await reserve("o1", 2, [("A", 2)])).json()["state"] == "held"


async def test_one_sku_on_several_lines(add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection) -> None:
    """Its lines are counted together and kept apart."""
    await add_item("A", 5, price=10)
    short = await reserve("o1", 1, [("A", 3), ("A", 3)])
    assert short.json()["refusals"] == [{"sku": "A", "reason": "short", "wanted": 6, "available": 5}]
    held = await reserve("o1", 2, [("A", 3), ("A", 2, 8)], prices="as_stated")
    assert [line["price"] for line in held.json()["lines"]] == ["10.00", "8.00"]
    assert held.json()["total"] == "46.00"
    assert await quantities(sql) == {"A": 0}


async def test_a_release_gives_back_once(
    client: httpx.AsyncClient, orders: dict[str, str], add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """The second release answers like the first, and gives nothing; the epoch takes nothing ever after."""
    await add_item("A", 5, price=10)
    await reserve("o1", 1, [("A", 3)])
    released = {"order_id": "o1", "epoch": 1, "state": "released", "lines": [], "total": None, "refusals": []}
    for _ in range(2):
        answer = await client.delete("/reservations/o1/1", headers=orders)
        assert (answer.status_code, answer.json()) == (200, released)
        assert await quantities(sql) == {"A": 5}
    assert (await reserve("o1", 1, [("A", 3)])).json() == released
    assert (await reserve("o1", 1, [("A", 4)])).status_code == 409
    assert await quantities(sql) == {"A": 5}


async def test_a_release_before_its_reserve_leaves_a_tombstone(
    client: httpx.AsyncClient, orders: dict[str, str], add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """A reserve that comes late finds the epoch released, whatever it asks for, and takes nothing."""
    await add_item("A", 5, price=10)
    assert (await client.delete("/reservations/o1/1", headers=orders)).json()["state"] == "released"
    for quantity in (3, 4):
        answer = await reserve("o1", 1, [("A", quantity)])
        assert (answer.status_code, answer.json()["state"]) == (200, "released")
    assert await quantities(sql) == {"A": 5}


async def test_a_refusal_is_not_released(
    client: httpx.AsyncClient, orders: dict[str, str], add_item: AddItem, reserve: Reserve
) -> None:
    """Releasing what was refused changes nothing, and says why it was refused."""
    await add_item("A", 1, price=10)
    refused = await reserve("o1", 1, [("A", 3)])
    assert refused.json()["state"] == "refused"
    answer = await client.delete("/reservations/o1/1", headers=orders)
    assert (answer.status_code, answer.json()) == (200, refused.json())


async def test_sold(
    client: httpx.AsyncClient, orders: dict[str, str], add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """Held pieces are sold once, with their prices; a release takes even these back."""
    await add_item("A", 5, price=10)
    held = (await reserve("o1", 1, [("A", 3)])).json()
    assert await balance(sql, "A") == (2, 3, 0)
    for _ in range(2):
        answer = await client.put("/reservations/o1/1/sold", headers=orders)
        assert (answer.status_code, answer.json()) == (200, {**held, "state": "sold"})
        assert await balance(sql, "A") == (2, 0, 3)
    assert (await reserve("o1", 1, [("A", 3)])).json()["state"] == "sold"
    await client.delete("/reservations/o1/1", headers=orders)
    assert await balance(sql, "A") == (5, 0, 0)


async def test_only_what_is_held_can_be_sold(
    client: httpx.AsyncClient, orders: dict[str, str], add_item: AddItem, reserve: Reserve
) -> None:
    """An epoch never seen is 404; refused and released ones are 409 and say which."""
    await add_item("A", 1, price=10)
    assert (await client.put("/reservations/o1/1/sold", headers=orders)).status_code == 404
    await reserve("o1", 1, [("A", 3)])
    await client.delete("/reservations/o1/2", headers=orders)
    for epoch, state in ((1, "refused"), (2, "released")):
        answer = await client.put(f"/reservations/o1/{epoch}/sold", headers=orders)
        assert (answer.status_code, answer.json()["state"]) == (409, state)


async def test_sold_pieces_of_a_deleted_item_leave_the_books(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    orders: dict[str, str],
    add_item: AddItem,
    reserve: Reserve,
    sql: asyncpg.Connection,
) -> None:
    """What comes back when its item is gone has no shelf; when the SKU is there again, it goes to that."""
    first = await add_item("A", 5, price=10)
    for order in ("o1", "o2"):
        await reserve(order, 1, [("A", 2)])
        await client.put(f"/reservations/{order}/1/sold", headers=orders)
    await client.delete(f"/{first['id']}", headers=admin)
    await client.delete("/reservations/o1/1", headers=orders)
    assert await unbalanced(sql) == []
    await add_item("A", 1)
    await client.delete("/reservations/o2/1", headers=orders)
    assert await quantities(sql) == {"A": 3}
    assert await unbalanced(sql) == []


class TestPrices:
    """What a stated price is worth."""

    @pytest.mark.parametrize(("stated", "state"), [("10.00", "held"), (10.004, "held"), ("9.99", "refused")])
    async def test_must_agree(self, add_item: AddItem, reserve: Reserve, stated: str | float, state: str) -> None:
        """With the catalogue's, to the cent; otherwise both are named."""
        await add_item("A", 5, price=10)
        answer = (await reserve("o1", 1, [("A", 1, stated)])).json()
        assert answer["state"] == state
        if state == "refused":
            assert answer["refusals"] == [{"sku": "A", "reason": "price", "stated": "9.99", "actual": "10.00"}]

    async def test_as_stated(self, add_item: AddItem, reserve: Reserve) -> None:
        """It stands, with and without a catalogue price; an unstated one is the catalogue's."""
        await add_item("A", 5, price=10)
        await add_item("FREE", 5)
        answer = await reserve("o1", 1, [("A", 1, "0"), ("FREE", 1, 7), ("A", 1)], prices="as_stated")
        assert [line["price"] for line in answer.json()["lines"]] == ["0.00", "7.00", "10.00"]

    @pytest.mark.parametrize(
        ("line", "prices"), [(("A", 1), "must_agree"), (("A", 1, 5), "must_agree"), (("A", 1), "as_stated")]
    )
    async def test_unpriced(self, add_item: AddItem, reserve: Reserve, line: tuple[Any, ...], prices: str) -> None:
        """Without a catalogue price only a price that stands can sell."""
        await add_item("A", 5)
        answer = await reserve("o1", 1, [line], prices=prices)
        assert answer.json()["refusals"] == [{"sku": "A", "reason": "unpriced"}]

    @pytest.mark.parametrize("prices", ["must_agree", "as_stated"])
    async def test_a_total_must_be_the_sum(self, add_item: AddItem, reserve: Reserve, prices: str) -> None:
        """In both modes, if it is stated: otherwise refused, and both named."""
        await add_item("A", 9, price="3.33")
        right = await reserve("o1", 1, [("A", 3)], prices=prices, total="9.99")
        wrong = await reserve("o2", 1, [("A", 3)], prices=prices, total=10)
        assert right.json()["state"] == "held"
        assert wrong.json()["refusals"] == [{"sku": None, "reason": "total", "stated": "10.00", "actual": "9.99"}]

    async def test_kept_lines_keep_their_price(
        self, client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, reserve: Reserve
    ) -> None:
        """An edit's prices are those of the epoch it replaces; what is added costs what the catalogue says now."""
        item = await add_item("A", 9, price=10)
        await add_item("B", 9, price=1)
        await reserve("o1", 1, [("A", 1)])
        await client.put(f"/{item['id']}", json={"price": 12}, headers=admin)
        edited = await reserve("o1", 2, [("A", 2), ("B", 1, 1)], replaces=1, total=21)
        assert [line["price"] for line in edited.json()["lines"]] == ["10.00", "1.00"]
        stated = await reserve("o1", 3, [("A", 2, 10)], replaces=2)
        assert stated.json()["state"] == "held"
        catalogue = await reserve("o1", 4, [("A", 2, 12)], replaces=3)
        assert catalogue.json()["refusals"] == [{"sku": "A", "reason": "price", "stated": "12.00", "actual": "10.00"}]

    async def test_large_amounts_are_exact(self, add_item: AddItem, reserve: Reserve) -> None:
        """The highest price times the most pieces is summed to the cent."""
        await add_item("A", 1_000_000_000, price="99999999.99")
        answer = await reserve("o1", 1, [("A", 1_000_000)] * 100)
        assert Decimal(answer.json()["total"]) == Decimal("99999999.99") * 100_000_000


async def test_unknown_skus_are_created(
    client: httpx.AsyncClient, orders: dict[str, str], user: dict[str, str], add_item: AddItem
) -> None:
    """With no stock and no price, each once; those that exist stay as they are, and a 404 is forgotten."""
    known = await add_item("A", 5, price=10)
    assert (await client.get("/by-sku/C", headers=user)).status_code == 404
    body = {"skus": ["C", "A", "B", "C"]}
    answer = await client.post("/reservations/skus", json=body, headers=orders)
    assert (answer.status_code, answer.json()) == (201, {"created": ["B", "C"]})
    created = (await client.get("/by-sku/C", headers=user)).json()
    assert (created["qty"], created["price"], created["version"]) == (0, None, 1)
    assert (await client.get("/by-sku/A", headers=user)).json() == known
    assert (await client.post("/reservations/skus", json=body, headers=orders)).json() == {"created": []}


async def test_catalogue_prices(client: httpx.AsyncClient, orders: dict[str, str], add_item: AddItem) -> None:
    """By SKU, null where there is none; unknown SKUs are left out."""
    await add_item("A", 5, price=10)
    await add_item("FREE", 5)
    answer = await client.post("/reservations/prices", json={"skus": ["FREE", "A", "GONE"]}, headers=orders)
    assert (answer.status_code, answer.json()) == (200, {"prices": {"A": "10.00", "FREE": None}})


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", "/reservations/o1/1", {"lines": [], "prices": "must_agree"}, "lines"),
        ("PUT", "/reservations/o1/1", {"lines": [{"sku": "A", "quantity": 1}]}, "prices"),
        ("PUT", "/reservations/o1/1", {"lines": [{"sku": "A", "quantity": 1}], "prices": "x"}, "prices"),
        (
            "PUT",
            "/reservations/o1/1",
            {"lines": [{"sku": "A", "quantity": 0}], "prices": "must_agree"},
            "lines[0].quantity",
        ),
        (
            "PUT",
            "/reservations/o1/1",
            {"lines": [{"sku": "a b", "quantity": 1}], "prices": "must_agree"},
            "lines[0].sku",
        ),
        (
            "PUT",
            "/reservations/o1/1",
            {
                "lines": [{"sku": "A", "quantity": 1}, {"sku": "A", "quantity": 1, "price": -1}],
                "prices": "must_agree",
            },
            "lines[1].price",
        ),
        (
            "PUT",
            "/reservations/o1/1",
            {"lines": [{"sku": "A", "quantity": 1}], "prices": "must_agree", "total": "Infinity"},
            "total",
        ),
        ("PUT", "/reservations/a%20b/1", {"lines": [{"sku": "A", "quantity": 1}], "prices": "must_agree"}, "order_id"),
        ("PUT", "/reservations/o1/-1", {"lines": [{"sku": "A", "quantity": 1}], "prices": "must_agree"}, "epoch"),
        ("DELETE", "/reservations/o1/2147483648", None, "epoch"),
        ("POST", "/reservations/skus", {"skus": ["A", "version"]}, "skus[1]"),
        ("POST", "/reservations/skus", {"skus": ["A", "a/b"]}, "skus[1]"),
        ("POST", "/reservations/skus", {"skus": []}, "skus"),
        ("POST", "/reservations/prices", {"skus": ["a/b"]}, "skus[0]"),
    ],
)
async def test_a_wrong_field_is_named(
    client: httpx.AsyncClient, orders: dict[str, str], method: str, path: str, body: dict[str, Any], field: str
) -> None:
    """422 names the field, in lists too."""
    answer = await client.request(method, path, json=body, headers=orders)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
