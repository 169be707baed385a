"""Items over the API: creating, changing, adjusting, deleting, and what each refuses."""

from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from microdemo_inventory.values import RESERVED_SKUS

from .conftest import AddItem, Reserve, unbalanced

pytestmark = pytest.mark.anyio

ITEM_FIELDS = ["id", "sku", "qty", "created_at", "name", "price", "updated_at", "version"]


def fields_of(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["field"] for error in answer.json()["errors"]]


async def ledger(sql: asyncpg.Connection) -> list[tuple[Any, ...]]:
    rows = await sql.fetch("SELECT sku, delta, reason, user_id FROM stock_adjustments ORDER BY id")
    return [tuple(row) for row in rows]


async def test_an_item_is_created(client: httpx.AsyncClient, admin: dict[str, str], sql: asyncpg.Connection) -> None:
    """201 with the whole item, its address and its tag; the opening stock is in the ledger."""
    body = {"sku": "SKU-1", "qty": 5, "name": "  Mug ", "price": 9.999, "color": "blue"}
    answer = await client.post("/", json=body, headers=admin)
    assert answer.status_code == 201
    item = answer.json()
    assert list(item) == ITEM_FIELDS
    assert (item["sku"], item["qty"], item["name"], item["price"], item["version"]) == ("SKU-1", 5, "Mug", "10.00", 1)
    assert item["created_at"].endswith("Z")
    assert answer.headers["location"] == str(item["id"])
    assert answer.headers["etag"] == f'"{item["id"]}.1"'
    assert await ledger(sql) == [("SKU-1", 5, "opening stock", 1)]


async def test_the_first_versions_fields_are_enough(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    """SKU and quantity make an item, without a name and without a price."""
    answer = await client.post("/", json={"sku": "a", "qty": 0}, headers=admin)
    assert answer.status_code == 201
    assert (answer.json()["name"], answer.json()["price"]) == ("", None)


async def test_a_taken_sku_is_refused(client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem) -> None:
    """Both creating and renaming into a taken SKU are 409 and name it; SKUs differ by case."""
    await add_item("A")
    other = await add_item("a")
    created = await client.post("/", json={"sku": "A", "qty": 1}, headers=admin)
    renamed = await client.put(f"/{other['id']}", json={"sku": "A"}, headers=admin)
    for answer in (created, renamed):
        assert (answer.status_code, answer.json()["sku"]) == (409, "A")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"qty": 1}, "sku"),
        ({"sku": "A"}, "qty"),
        ({"sku": "", "qty": 1}, "sku"),
        ({"sku": "-A", "qty": 1}, "sku"),
        ({"sku": "A/B", "qty": 1}, "sku"),
        ({"sku": "A\n", "qty": 1}, "sku"),
        ({"sku": "Ä", "qty": 1}, "sku"),
        ({"sku": "A" * 65, "qty": 1}, "sku"),
        ({"sku": "A", "qty": -1}, "qty"),
        ({"sku": "A", "qty": 1_000_000_001}, "qty"),
        ({"sku": "A", "qty": 1.5}, "qty"),
        ({"sku": "A", "qty": 1, "price": -0.001}, "price"),
        ({"sku": "A", "qty": 1, "price": "NaN"}, "price"),
        ({"sku": "A", "qty": 1, "price": "1E+400"}, "price"),
        ({"sku": "A", "qty": 1, "price": "99999999.995"}, "price"),
        ({"sku": "A", "qty": 1, "name": "a\nb"}, "name"),
        ({"sku": "A", "qty": 1, "name": "a\x00"}, "name"),
        ({"sku": "A", "qty": 1, "name": "a" * 201}, "name"),
    ],
)
async def test_a_wrong_field_is_named(
    client: httpx.AsyncClient, admin: dict[str, str], body: dict[str, Any], field: str
) -> None:
    """Each rule about an item's fields is a 422 that names the field."""
    assert fields_of(await client.post("/", json=body, headers=admin)) == [field]


async def test_no_sku_is_a_routes_name(client: httpx.AsyncClient, admin: dict[str, str], app: Litestar) -> None:
    """Whatever the service answers at as a first path segment cannot be a SKU."""
    segments = {route.path.split("/")[1] for route in app.routes}
    assert {segment for segment in segments if segment and "{" not in segment} == RESERVED_SKUS
    for name in RESERVED_SKUS:
        assert fields_of(await client.post("/", json={"sku": name, "qty": 1}, headers=admin)) == ["sku"]


async def test_what_equals_the_stored_is_no_change(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, sql: asyncpg.Connection
) -> None:
    """The first version's form sends every field; unchanged ones raise no version and write no entry."""
    item = await add_item("A", 5, name="Mug", price="10")
    answer = await client.put(f"/{item['id']}", json=item, headers=admin)
    assert (answer.status_code, answer.json()) == (200, item)
    assert len(await ledger(sql)) == 1


async def test_a_change(
    client: httpx.AsyncClient, admin: dict[str, str], user: dict[str, str], add_item: AddItem, sql: asyncpg.Connection
) -> None:
    """Absent and null fields stay, null takes a price away, and the new version is read at once."""
    item = await add_item("A", 5, name="Mug", price="10")
    await client.get(f"/{item['id']}", headers=user)
    answer = await client.put(f"/{item['id']}", json={"qty": 2, "name": None, "price": None}, headers=admin)
    assert answer.status_code == 200
    changed = answer.json()
    assert (changed["qty"], changed["name"], changed["price"], changed["version"]) == (2, "Mug", None, 2)
    assert changed["updated_at"] > item["updated_at"]
    assert answer.headers["etag"] == f'"{item["id"]}.2"'
    assert (await client.get(f"/{item['id']}", headers=user)).json() == changed
    assert await ledger(sql) == [("A", 5, "opening stock", 1), ("A", -3, "set to 2", 1)]


async def test_a_rename_moves_the_books(
    client: httpx.AsyncClient, admin: dict[str, str], user: dict[str, str], add_item: AddItem, sql: asyncpg.Connection
) -> None:
    """Under the old SKU nothing is left, in the ledger and in the cache; under the new one is all of it."""
    item = await add_item("A", 5)
    assert (await client.get("/by-sku/A", headers=user)).status_code == 200
    assert (await client.get("/by-sku/B", headers=user)).status_code == 404
    answer = await client.put(f"/{item['id']}", json={"sku": "B", "qty": 7}, headers=admin)
    assert (answer.status_code, answer.json()["sku"], answer.json()["qty"]) == (200, "B", 7)
    assert (await client.get("/by-sku/A", headers=user)).status_code == 404
    assert (await client.get("/by-sku/B", headers=user)).json()["qty"] == 7
    assert await ledger(sql) == [
        ("A", 5, "opening stock", 1),
        ("A", -5, "renamed to B", 1),
        ("B", 5, "renamed from A", 1),
        ("B", 2, "set to 7", 1),
    ]
    assert await unbalanced(sql) == []


@pytest.mark.parametrize("sold", [False, True])
async def test_a_sku_in_use_is_not_renamed(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    orders: dict[str, str],
    add_item: AddItem,
    reserve: Reserve,
    sold: bool,
) -> None:
    """Orders know the SKU, whether they hold pieces or have bought them: 409, until they have given them back."""
    item = await add_item("A", 5, price=1)
    await reserve("o1", 1, [("A", 1)])
    if sold:
        await client.put("/reservations/o1/1/sold", headers=orders)
    refused = await client.put(f"/{item['id']}", json={"sku": "B"}, headers=admin)
    assert (refused.status_code, refused.json()["sku"]) == (409, "A")
    assert (await client.put(f"/{item['id']}", json={"sku": "A", "name": "x"}, headers=admin)).status_code == 200
    await client.delete("/reservations/o1/1", headers=orders)
    assert (await client.put(f"/{item['id']}", json={"sku": "B"}, headers=admin)).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_stale_version_is_refused(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, method: str
) -> None:
    """Stale, weak and malformed tags are 412 and change nothing; the current one, and a star, go through."""
    item = await add_item("A", 5)
    path, tag = f"/{item['id']}", f'"{item["id"]}.1"'
    for header in (f'"{item["id"]}.0"', '"1"', f"W/{tag}", tag.strip('"'), ""):
        answer = await client.request(method, path, json={"qty": 9}, headers={**admin, "If-Match": header})
        assert answer.status_code == 412, header
        assert answer.headers["etag"] == tag
    for header in ("*", tag) if method == "PUT" else (tag,):
        answer = await client.request(method, path, json={"qty": 5}, headers={**admin, "If-Match": header})
        assert answer.status_code < 300, header


async def test_a_reservation_makes_a_version_stale(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, reserve: Reserve
) -> None:
    """Whoever read the quantity before an order took some cannot set it unseen."""
    item = await add_item("A", 5, price=1)
    await reserve("o1", 1, [("A", 1)])
    headers = {**admin, "If-Match": f'"{item["id"]}.1"'}
    assert (await client.put(f"/{item['id']}", json={"qty": 5}, headers=headers)).status_code == 412


async def test_an_adjustment(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, sql: asyncpg.Connection
) -> None:
    """Pieces are added and taken with a reason; 201 with the item as it is now."""
    item = await add_item("A", 5)
    more = await client.post(f"/{item['id']}/adjustments", json={"delta": 3, "reason": " found "}, headers=admin)
    less = await client.post(f"/{item['id']}/adjustments", json={"delta": -8, "reason": "broken"}, headers=admin)
    assert (more.status_code, more.json()["qty"], more.json()["version"]) == (201, 8, 2)
    assert (less.status_code, less.json()["qty"], less.headers["etag"]) == (201, 0, f'"{item["id"]}.3"')
    assert await ledger(sql) == [("A", 5, "opening stock", 1), ("A", 3, "found", 1), ("A", -8, "broken", 1)]


async def test_an_adjustment_never_goes_below_zero(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """What orders hold cannot be adjusted away: 409 names what is available."""
    item = await add_item("A", 5, price=1)
    await reserve("o1", 1, [("A", 2)])
    answer = await client.post(f"/{item['id']}/adjustments", json={"delta": -4, "reason": "x"}, headers=admin)
    assert (answer.status_code, answer.json()["available"]) == (409, 3)
    high = await client.post(f"/{item['id']}/adjustments", json={"delta": 999_999_998, "reason": "x"}, headers=admin)
    assert high.status_code == 409
    assert len(await ledger(sql)) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"delta": 0, "reason": "x"}, "delta"),
        ({"reason": "x"}, "delta"),
        ({"delta": 1}, "reason"),
        ({"delta": 1, "reason": "  "}, "reason"),
        ({"delta": 1, "reason": ""}, "reason"),
        ({"delta": 1, "reason": "a\x00"}, "reason"),
        ({"delta": 10**12, "reason": "x"}, "delta"),
    ],
)
async def test_a_wrong_adjustment_is_named(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, body: dict[str, Any], field: str
) -> None:
    """Nothing to add, and nothing to say why, are 422."""
    item = await add_item("A", 5)
    assert fields_of(await client.post(f"/{item['id']}/adjustments", json=body, headers=admin)) == [field]


async def test_the_ledger_is_listed(client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem) -> None:
    """Newest first, who and when; it outlives its item."""
    item = await add_item("A", 5)
    await add_item("B", 9)
    await client.post(f"/{item['id']}/adjustments", json={"delta": -2, "reason": "broken"}, headers=admin)
    await client.delete(f"/{item['id']}", headers=admin)
    answer = await client.get(f"/{item['id']}/adjustments?limit=2", headers=admin)
    entries = answer.json()
    assert [(entry["delta"], entry["reason"], entry["user_id"]) for entry in entries] == [
        (-3, "deleted", 1),
        (-2, "broken", 1),
    ]
    assert answer.headers["x-total-count"] == "3"
    assert entries[0]["created_at"].endswith("Z")


async def test_an_item_is_deleted(
    client: httpx.AsyncClient, admin: dict[str, str], user: dict[str, str], add_item: AddItem, sql: asyncpg.Connection
) -> None:
    """204, gone at once, its id never used again, and its pieces taken out of the books."""
    item = await add_item("A", 5)
    await client.get(f"/{item['id']}", headers=user)
    answer = await client.delete(f"/{item['id']}", headers=admin)
    assert (answer.status_code, answer.content) == (204, b"")
    for path in (f"/{item['id']}", "/by-sku/A"):
        assert (await client.get(path, headers=user)).status_code == 404
    assert (await client.delete(f"/{item['id']}", headers=admin)).status_code == 404
    again = await add_item("A", 1)
    assert again["id"] > item["id"]
    assert (await client.get("/by-sku/A", headers=user)).json() == again
    assert await unbalanced(sql) == []


async def test_an_item_that_orders_hold_is_not_deleted(
    client: httpx.AsyncClient, admin: dict[str, str], orders: dict[str, str], add_item: AddItem, reserve: Reserve
) -> None:
    """409 while pieces are reserved; sold ones are no reason to keep it."""
    item = await add_item("A", 5, price=1)
    await reserve("o1", 1, [("A", 2)])
    refused = await client.delete(f"/{item['id']}", headers=admin)
    assert (refused.status_code, refused.json()["held"]) == (409, 2)
    await client.put("/reservations/o1/1/sold", headers=orders)
    assert (await client.delete(f"/{item['id']}", headers=admin)).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/77", {"qty": 1}),
        ("DELETE", "/77", None),
        ("POST", "/77/adjustments", {"delta": 1, "reason": "x"}),
        ("GET", "/77", None),
        ("GET", "/0", None),
        ("GET", "/-1", None),
        ("GET", "/by-sku/77", None),
        ("GET", "/by-sku/%00", None),
        ("GET", "/by-sku/a%20b", None),
    ],
)
async def test_what_is_not_there_is_404(
    client: httpx.AsyncClient, admin: dict[str, str], method: str, path: str, body: dict[str, Any] | None
) -> None:
    """An unknown item is 404, whatever is asked of it."""
    answer = await client.request(method, path, json=body, headers=admin)
    assert answer.status_code == 404
    assert "no item" in answer.json()["detail"]


async def test_an_id_beyond_all_ids_is_422(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    """A number that no database holds is the caller's error, and not ours."""
    assert (await client.get(f"/{2**63}", headers=admin)).status_code == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("PUT", "/1"),
        ("DELETE", "/1"),
        ("POST", "/1/adjustments"),
        ("GET", "/1/adjustments"),
        ("POST", "/import/csv"),
        ("PUT", "/reservations/o1/1"),
        ("DELETE", "/reservations/o1/1"),
        ("PUT", "/reservations/o1/1/sold"),
        ("POST", "/reservations/skus"),
    ],
)
async def test_a_user_only_reads(client: httpx.AsyncClient, user: dict[str, str], method: str, path: str) -> None:
    """Every change is an admin's or a service's."""
    assert (await client.request(method, path, json={}, headers=user)).status_code == 403


async def test_admins_and_services_do_not_stand_in_for_each_other(
    client: httpx.AsyncClient, admin: dict[str, str], orders: dict[str, str]
) -> None:
    """An admin cannot reserve, and a service cannot read as a person or change items."""
    assert (await client.put("/reservations/o1/1", json={}, headers=admin)).status_code == 403
    assert (await client.get("/", headers=orders)).status_code == 403
    assert (await client.post("/", json={"sku": "A", "qty": 1}, headers=orders)).status_code == 403


async def test_the_ledger_only_grows(add_item: AddItem, sql: asyncpg.Connection) -> None:
    """The database itself refuses to change or delete an entry."""
    await add_item("A", 5)
    for statement in ("UPDATE stock_adjustments SET delta = 6", "DELETE FROM stock_adjustments"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await sql.execute(statement)
