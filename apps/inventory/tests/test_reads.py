"""Reading items: from the cache without a connection, never older than the last change, with tags."""

from typing import Any

import httpx
import pytest

from .conftest import AddItem, Checkouts, Reserve

pytestmark = pytest.mark.anyio


async def skus(client: httpx.AsyncClient, headers: dict[str, str], query: str = "") -> list[str]:
    answer = await client.get(f"/{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return [item["sku"] for item in answer.json()]


async def test_a_list_is_by_id(client: httpx.AsyncClient, user: dict[str, str], add_item: AddItem) -> None:
    """Ascending by id, whole items, and the count in a header."""
    items = [await add_item(sku, qty) for sku, qty in (("C", 1), ("A", 2), ("B", 3))]
    answer = await client.get("/", headers=user)
    assert answer.json() == items
    assert answer.headers["x-total-count"] == "3"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?sort=sku", ["A1", "B1", "C_1", "a2"]),
        ("?sort=-sku", ["a2", "C_1", "B1", "A1"]),
        ("?sort=qty", ["C_1", "A1", "B1", "a2"]),
        ("?sort=-created_at", ["a2", "B1", "A1", "C_1"]),
        ("?q=a", ["A1", "B1", "a2"]),
        ("?q=_", ["C_1"]),
        ("?q=%25", []),
        ("?stock=out", ["C_1"]),
        ("?stock=low", ["A1", "B1"]),
        ("?stock=ok", ["a2"]),
        ("?stock=low&q=b&sort=-id", ["B1"]),
        ("?skip=1&limit=2", ["A1", "B1"]),
    ],
)
async def test_filters_and_orders(
    client: httpx.AsyncClient, user: dict[str, str], add_item: AddItem, query: str, expected: list[str]
) -> None:
    """Parts of a SKU or a name in any case, three states of stock, four orders; SKUs sort by their bytes."""
    for sku, qty, name in (("C_1", 0, ""), ("A1", 1, ""), ("B1", 19, "Yet another"), ("a2", 20, "")):
        await add_item(sku, qty, name=name)
    assert await skus(client, user, query) == expected


@pytest.mark.parametrize("sort", ["id", "-id", "sku", "-qty", "created_at"])
async def test_a_keyset_walk_meets_everything_once(
    client: httpx.AsyncClient, user: dict[str, str], add_item: AddItem, sort: str
) -> None:
    """Following the next links passes over nothing and repeats nothing, with equal values too."""
    for number in range(7):
        await add_item(f"S{number}", number // 3)
    path, found = f"/?cursor=&limit=2&sort={sort}", []
    for _ in range(4):
        answer = await client.get(path, headers=user)
        found += [item["sku"] for item in answer.json()]
        path = "/" + answer.links["next"]["url"] if "next" in answer.links else ""
    assert path == ""
    assert sorted(found) == [f"S{number}" for number in range(7)]


@pytest.mark.parametrize("query", ["?sort=price", "?stock=none", "?q=" + "x" * 101, "?limit=1001", "?skip=-1"])
async def test_a_wrong_query_is_422(client: httpx.AsyncClient, user: dict[str, str], query: str) -> None:
    """What cannot be filtered or sorted by is said to be so."""
    assert (await client.get(f"/{query}", headers=user)).status_code == 422


async def test_an_item_has_a_tag(client: httpx.AsyncClient, user: dict[str, str], add_item: AddItem) -> None:
    """By id and by SKU the same item, the same strong tag, and 304 for whoever has it."""
    item = await add_item("A", 5, price=10)
    tag = f'"{item["id"]}.1"'
    for path in (f"/{item['id']}", "/by-sku/A"):
        answer = await client.get(path, headers=user)
        assert (answer.json(), answer.headers["etag"]) == (item, tag)
        known = await client.get(path, headers={**user, "If-None-Match": tag})
        assert (known.status_code, known.content) == (304, b"")
        stale = await client.get(path, headers={**user, "If-None-Match": f'"{item["id"]}.0"'})
        assert stale.status_code == 200


async def test_a_skus_next_item_has_another_tag(
    client: httpx.AsyncClient, user: dict[str, str], admin: dict[str, str], add_item: AddItem
) -> None:
    """Deleted and created again, the address means another item, whose versions begin again."""
    first = await add_item("A", 5)
    tag = (await client.get("/by-sku/A", headers=user)).headers["etag"]
    await client.delete(f"/{first['id']}", headers=admin)
    await add_item("A", 5)
    answer = await client.get("/by-sku/A", headers={**user, "If-None-Match": tag})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/", "/?q=a&sort=-qty", "/{id}", "/by-sku/A", "/analytics", "/404", "/by-sku/none"])
async def test_a_hit_needs_no_connection(
    client: httpx.AsyncClient, user: dict[str, str], add_item: AddItem, checkouts: Checkouts, path: str
) -> None:
    """The second time nothing is taken from the pool, and the bytes are the same; unknown items included."""
    item = await add_item("A", 5, price=10)
    path = path.format(id=item["id"])
    with checkouts() as cold:
        first = await client.get(path, headers=user)
    with checkouts() as warm:
        second = await client.get(path, headers=user)
    assert (len(cold), len(warm)) == (1, 0)
    same = ("etag", "x-total-count", "link", "content-type")
    assert [first.headers.get(name) for name in same] == [second.headers.get(name) for name in same]
    assert first.json() == second.json()


async def test_a_reservation_is_seen_at_once(
    client: httpx.AsyncClient, user: dict[str, str], orders: dict[str, str], add_item: AddItem, reserve: Reserve
) -> None:
    """Every read follows what orders hold and give back, though all of them were cached."""
    item = await add_item("A", 25, price=10)

    async def seen() -> list[Any]:
        by_id = await client.get(f"/{item['id']}", headers=user)
        by_sku = await client.get("/by-sku/A", headers=user)
        listed = await client.get("/", headers=user)
        counted = await client.get("/analytics", headers=user)
        return [
            by_id.json()["qty"],
            by_sku.json()["qty"],
            listed.json()[0]["qty"],
            counted.json()["total_quantity"],
            by_id.headers["etag"],
        ]

    assert await seen() == [25, 25, 25, 25, f'"{item["id"]}.1"']
    await reserve("o1", 1, [("A", 20)])
    assert await seen() == [5, 5, 5, 5, f'"{item["id"]}.2"']
    await reserve("o1", 2, [("A", 21)], replaces=1)
    assert (await seen())[:4] == [4, 4, 4, 4]
    before = (await seen())[4]
    await client.delete("/reservations/o1/2", headers=orders)
    assert (await seen())[:4] == [25, 25, 25, 25]
    assert (await seen())[4] != before


async def test_a_refusal_forgets_nothing(
    client: httpx.AsyncClient, user: dict[str, str], add_item: AddItem, reserve: Reserve, checkouts: Checkouts
) -> None:
    """What changed no stock leaves the cache as it is."""
    item = await add_item("A", 1, price=10)
    await client.get(f"/{item['id']}", headers=user)
    await reserve("o1", 1, [("A", 2)])
    with checkouts() as taken:
        await client.get(f"/{item['id']}", headers=user)
    assert taken == []


async def test_analytics(client: httpx.AsyncClient, user: dict[str, str], add_item: AddItem) -> None:
    """Low is 1 to 19; the list has those with none too, the lowest first."""
    empty = {
        "total_items": 0, "total_quantity": 0, "out_of_stock": 0, "low_stock": 0, "low_stock_items": [],
    }  # fmt: skip
    assert (await client.get("/analytics", headers=user)).json() == empty
    ids = {sku: (await add_item(sku, qty))["id"] for sku, qty in (("A", 20), ("B", 19), ("C", 0), ("D", 1), ("E", 0))}
    assert (await client.get("/analytics", headers=user)).json() == {
        "total_items": 5,
        "total_quantity": 40,
        "out_of_stock": 2,
        "low_stock": 2,
        "low_stock_items": [
            {"id": ids["C"], "sku": "C", "qty": 0},
            {"id": ids["E"], "sku": "E", "qty": 0},
            {"id": ids["D"], "sku": "D", "qty": 1},
            {"id": ids["B"], "sku": "B", "qty": 19},
        ],
    }
