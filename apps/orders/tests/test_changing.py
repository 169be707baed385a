"""Changing an order: the status machine, lines, owner, deletion, and whose it is to do so."""

import asyncio
from itertools import product
from typing import Any, get_args

import asyncpg
import httpx
import pytest

from microdemo_orders.machine import STATUS_STEPS, STATUSES, SettableStatus, Status

from .conftest import Place, Shelves

pytestmark = pytest.mark.anyio

Headers = dict[str, str]

# How an admin gets there from pending.
WAYS: dict[str, list[str]] = {
    "pending": [],
    "processing": ["processing"],
    "shipped": ["processing", "shipped"],
    "delivered": ["processing", "shipped", "delivered"],
    "completed": ["completed"],
    "cancelled": ["cancelled"],
}
# What inventory then has of two pieces that were ordered, and how many are left of ten.
HELD = {"pending": "held", "processing": "held", "cancelled": "released"}


@pytest.mark.parametrize(("old", "new"), [*product(WAYS, get_args(SettableStatus))])
async def test_every_pair_of_statuses(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers, old: Status, new: Status
) -> None:
    """A legal step is taken, with its event and its stock; any other is a 409 that names the legal ones."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1")
    for step in WAYS[old]:
        assert (await client.put("/ORD-1", json={"status": step}, headers=ada)).status_code == 200
    before = (await client.get("/ORD-1/timeline", headers=ada)).json()
    answer = await client.put("/ORD-1", json={"status": new}, headers=ada)
    now = (await client.get("/ORD-1", headers=ada)).json()["status"]
    after = (await client.get("/ORD-1/timeline", headers=ada)).json()
    if old == new:
        assert (answer.status_code, now, after) == (200, old, before)
    elif new in STATUS_STEPS[old]:
        assert (answer.status_code, answer.json()["status"], now) == (200, new, new)
        assert after[:-1] == before
        assert (after[-1]["event_type"], after[-1]["old_value"], after[-1]["new_value"]) == ("status_changed", old, new)
    else:
        assert (answer.status_code, now, after) == (409, old, before)
        assert answer.json()["next"] == list(STATUS_STEPS[old])
        assert all(status in answer.json()["detail"] for status in STATUS_STEPS[old])
    reservations = await shelves.reservations("ORD-1")
    assert reservations[max(reservations)] == HELD.get(now, "sold")
    assert await shelves.left("SKU-1") == (10 if now == "cancelled" else 8)
    assert await shelves.unbalanced() == []


def test_the_table_is_the_contracts() -> None:
    """Word for word what API.md says."""
    assert dict(STATUS_STEPS) == {
        "pending": ("processing", "completed", "cancelled"),
        "processing": ("shipped", "completed", "cancelled"),
        "shipped": ("delivered", "completed", "cancelled"),
        "delivered": ("completed",),
        "completed": (),
        "cancelled": ("pending",),
        "rejected": (),
    }
    assert set(STATUSES) == set(get_args(Status))


async def test_an_owner_may_cancel_and_no_more(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers, people: dict[str, int]
) -> None:
    """Every other status, and another owner, is an admin's to set."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1")
    for status in ("processing", "shipped", "delivered", "completed"):
        assert (await client.put("/ORD-1", json={"status": status}, headers=bob)).status_code == 403
    assert (await client.put("/ORD-1", json={"user_id": people["Eve"]}, headers=bob)).status_code == 403
    assert (await client.put("/ORD-1", json={"status": "cancelled"}, headers=bob)).status_code == 200
    assert (await client.put("/ORD-1", json={"status": "pending"}, headers=bob)).status_code == 403
    assert await shelves.left("SKU-1") == 10


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "timeline"])
async def test_anothers_order_is_403(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers, eve: Headers, method: str
) -> None:
    """Nobody but its owner and an admin reads or changes an order; one that is not there is 404."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1")
    for path, hers, adas in (("/ORD-1", 403, None), ("/ORD-2", 404, 404), ("/%00", 404, 404)):
        verb, target = ("GET", f"{path}/timeline") if method == "timeline" else (method, path)
        body = {"json": {"status": "cancelled"}} if verb == "PUT" else {}
        answer = await client.request(verb, target, headers=eve, **body)  # type: ignore[arg-type]  # PUT's body
        assert answer.status_code == hers, target
        if adas:
            assert (await client.request(verb, target, headers=ada, **body)).status_code == adas  # type: ignore[arg-type]
    assert await shelves.left("SKU-1") == 8


async def test_equal_fields_need_no_right(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers
) -> None:
    """The first version's form sends the whole order back; only what differs is a change."""
    await shelves.add("SKU-1", 10)
    order = (await place(("SKU-1", 2), id="ORD-1")).json()
    same = await client.put("/ORD-1", json=order, headers=bob)
    assert (same.status_code, same.json()) == (200, order)
    cancelled = await client.put("/ORD-1", json={**order, "status": "cancelled"}, headers=bob)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert (await client.put("/ORD-1", json=cancelled.json(), headers=bob)).status_code == 200
    assert len((await client.get("/ORD-1/timeline", headers=bob)).json()) == 2
    assert (await client.put("/ORD-1", json={"id": "ORD-2"}, headers=bob)).status_code == 422


async def test_an_edit_keeps_sold_prices(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers
) -> None:
    """Kept lines cost what they cost, added ones what the catalogue says, and the event has both versions."""
    await shelves.add("SKU-1", 10, "10.00")
    await shelves.add("SKU-2", 10, "1.00")
    order = (await place(("SKU-1", 2), id="ORD-1")).json()
    await shelves.reprice("SKU-1", "99.00")
    lines = [{"sku": "SKU-1", "quantity": 3}, {"sku": "SKU-2", "quantity": 1}]
    # As a form does: the total it was given, though the lines have changed.
    answer = await client.put("/ORD-1", json={**order, "items": lines}, headers=bob)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["total"], answer.json()["version"]) == ("31.00", 2)
    assert [item["price"] for item in answer.json()["items"]] == ["10.00", "1.00"]
    assert (await shelves.left("SKU-1"), await shelves.left("SKU-2")) == (7, 9)
    event = (await client.get("/ORD-1/timeline", headers=bob)).json()[-1]
    assert event["event_type"] == "items_changed"
    assert (event["old_value"], '"quantity":3' in event["new_value"]) == (
        '[{"sku":"SKU-1","quantity":2,"price":"10.00"}]',
        True,
    )
    assert await shelves.unbalanced() == []


async def test_an_edit_within_its_own_stock(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers
) -> None:
    """What the order holds counts as available to it; beyond that is a 409, and the old lines stand."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 8), id="ORD-1")
    full = {"items": [{"sku": "SKU-1", "quantity": 10}]}
    assert (await client.put("/ORD-1", json=full, headers=bob)).status_code == 200
    assert await shelves.left("SKU-1") == 0
    over = await client.put("/ORD-1", json={"items": [{"sku": "SKU-1", "quantity": 11}]}, headers=bob)
    assert over.status_code == 409
    assert over.json()["shortages"] == [{"sku": "SKU-1", "wanted": 11, "available": 10}]
    seen = (await client.get("/ORD-1", headers=bob)).json()
    assert (seen["items"][0]["quantity"], "settling" in seen) == (10, False)
    # A refused epoch holds nothing; what is given back is what the one before it has.
    less = await client.put("/ORD-1", json={"items": [{"sku": "SKU-1", "quantity": 1}]}, headers=bob)
    assert (less.status_code, await shelves.left("SKU-1")) == (200, 9)
    assert (await client.put("/ORD-1", json={"items": [{"sku": "SKU-1", "quantity": 11}]}, headers=bob)).is_error
    assert (await client.put("/ORD-1", json={"status": "cancelled"}, headers=bob)).status_code == 200
    assert await shelves.left("SKU-1") == 10


@pytest.mark.parametrize(
    ("items", "fields", "status"),
    [
        ([{"sku": "SKU-1", "quantity": 2, "price": "9.00"}], {}, 409),
        ([{"sku": "SKU-1", "quantity": 2}, {"sku": "SKU-2", "quantity": 1, "price": "9.00"}], {}, 409),
        ([{"sku": "SKU-1", "quantity": 3}], {"total": "29.00"}, 409),
        ([{"sku": "SKU-1", "quantity": 3}], {"total": "30.00"}, 200),
        ([{"sku": "SKU-1", "quantity": 2}, {"sku": "NOPE", "quantity": 1}], {}, 422),
        (None, {"total": "19.99"}, 409),
    ],
)
async def test_an_edits_prices_must_agree(
    client: httpx.AsyncClient,
    place: Place,
    shelves: Shelves,
    bob: Headers,
    items: list[dict[str, Any]] | None,
    fields: dict[str, Any],
    status: int,
) -> None:
    """A user's stated price or total is ours, or the edit is refused and the order is as it was."""
    await shelves.add("SKU-1", 10)
    await shelves.add("SKU-2", 10)
    before = (await place(("SKU-1", 2), id="ORD-1")).json()
    answer = await client.put("/ORD-1", json={"items": items, **fields}, headers=bob)
    assert answer.status_code == status, answer.text
    if status != 200:
        seen = (await client.get("/ORD-1", headers=bob)).json()
        assert {**seen, "updated_at": ""} == {**before, "updated_at": ""}


async def test_an_admin_reprices_a_line(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers, people: dict[str, int]
) -> None:
    """The stated price stands, the event says the difference, and a new owner may be set with it."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1")
    change = {"items": [{"sku": "SKU-1", "quantity": 2, "price": 8}], "user_id": people["Eve"], "status": "processing"}
    answer = await client.put("/ORD-1", json=change, headers=ada)
    assert (answer.json()["total"], answer.json()["user_id"], answer.json()["status"]) == (
        "16.00",
        people["Eve"],
        "processing",
    )
    timeline = (await client.get("/ORD-1/timeline", headers=ada)).json()
    assert [event["event_type"] for event in timeline[1:]] == ["items_changed", "status_changed", "owner_changed"]
    assert "SKU-1 at 8.00 instead of 10.00" in timeline[1]["description"]


async def test_a_new_owner(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers, bob: Headers, eve: Headers, people: Any
) -> None:
    """An admin hands an order over to an active account; then it is hers alone, in every list at once."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1")
    assert len((await client.get("/", headers=bob)).json()) == 1
    assert (await client.get("/", headers=eve)).json() == []
    assert (await client.put("/ORD-1", json={"user_id": people["Zoe"]}, headers=ada)).status_code == 422
    assert (await client.put("/ORD-1", json={"user_id": people["Eve"]}, headers=ada)).status_code == 200
    assert (await client.get("/", headers=bob)).json() == []
    assert len((await client.get("/", headers=eve)).json()) == 1
    assert (await client.get("/ORD-1", headers=bob)).status_code == 403


async def test_lines_are_fixed_once_processing(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers
) -> None:
    """For admins too; the answer says so."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1")
    await client.put("/ORD-1", json={"status": "processing"}, headers=ada)
    answer = await client.put("/ORD-1", json={"items": [{"sku": "SKU-1", "quantity": 1}]}, headers=ada)
    assert (answer.status_code, "processing" in answer.json()["detail"]) == (409, True)


async def test_reactivating_takes_the_stock_again(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers, bob: Headers
) -> None:
    """At the old prices; without enough stock it is a 409 and stays cancelled, and works once there is."""
    await shelves.add("SKU-1", 10, "10.00")
    await place(("SKU-1", 6), id="ORD-1")
    await client.put("/ORD-1", json={"status": "cancelled"}, headers=bob)
    await place(("SKU-1", 6), id="ORD-2")
    await shelves.reprice("SKU-1", "99.00")
    refused = await client.put("/ORD-1", json={"status": "pending"}, headers=ada)
    assert refused.status_code == 409
    assert refused.json()["shortages"] == [{"sku": "SKU-1", "wanted": 6, "available": 4}]
    assert (await client.get("/ORD-1", headers=bob)).json()["status"] == "cancelled"
    await client.put("/ORD-2", json={"status": "cancelled"}, headers=bob)
    again = await client.put("/ORD-1", json={"status": "pending"}, headers=ada)
    assert (again.status_code, again.json()["status"], again.json()["total"]) == (200, "pending", "60.00")
    assert await shelves.left("SKU-1") == 4
    assert await shelves.unbalanced() == []


async def test_cancelled_from_the_start_can_be_reactivated(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers
) -> None:
    """It takes its stock then, for the first time."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 6), id="ORD-1", by=ada, status="cancelled")
    assert (await client.put("/ORD-1", json={"status": "pending"}, headers=ada)).status_code == 200
    assert await shelves.left("SKU-1") == 4


@pytest.mark.parametrize(("status", "left"), [("pending", 10), ("processing", 10), ("shipped", 8), ("cancelled", 10)])
async def test_deleting(
    client: httpx.AsyncClient,
    place: Place,
    shelves: Shelves,
    ada: Headers,
    status: str,
    left: int,
) -> None:
    """Reserved pieces come back, sold ones stay sold; the order is gone from everywhere but its timeline."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1", by=ada, status=status)
    assert (await client.delete("/ORD-1", headers=ada)).status_code == 204
    assert await shelves.left("SKU-1") == left
    for answer in (await client.get("/ORD-1", headers=ada), await client.delete("/ORD-1", headers=ada)):
        assert answer.status_code == 404
    assert (await client.get("/", headers=ada)).json() == []
    assert (await client.get("/analytics", headers=ada)).json()["total_orders"] == 0
    timeline = (await client.get("/ORD-1/timeline", headers=ada)).json()
    assert [event["event_type"] for event in timeline] == ["order_created", "order_deleted"]
    assert await shelves.unbalanced() == []


async def test_concurrent_cancels_give_back_once(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers
) -> None:
    """Eight at once: each is a 200, with one event and the pieces back once."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 4), id="ORD-1")
    cancel = {"status": "cancelled"}
    answers = await asyncio.gather(*(client.put("/ORD-1", json=cancel, headers=bob) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert await shelves.left("SKU-1") == 10
    assert len((await client.get("/ORD-1/timeline", headers=bob)).json()) == 2


async def test_a_refused_order_cannot_be_changed(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers, ada: Headers
) -> None:
    """409 with its reason, for its owner and for an admin."""
    await shelves.add("SKU-1", 1)
    await place(("SKU-1", 4), id="ORD-1")
    for answer in (
        await client.put("/ORD-1", json={"status": "cancelled"}, headers=bob),
        await client.put("/ORD-1", json={"status": "pending"}, headers=ada),
        await client.delete("/ORD-1", headers=bob),
    ):
        assert (answer.status_code, "not enough stock" in answer.json()["detail"]) == (409, True)


async def test_the_audit_trail_is_append_only(place: Place, shelves: Shelves, sql: asyncpg.Connection) -> None:
    """Not even SQL changes or deletes a line of it."""
    await shelves.add("SKU-1", 1)
    await place(("SKU-1", 1))
    for statement in ("UPDATE order_events SET description = ''", "DELETE FROM order_events"):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await sql.execute(statement)


async def test_concurrent_steps_are_one_step(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers
) -> None:
    """Eight admins at once make it processing: each is a 200, and the trail has it once."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 4), id="ORD-1")
    step = {"status": "processing"}
    answers = await asyncio.gather(*(client.put("/ORD-1", json=step, headers=ada) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    timeline = (await client.get("/ORD-1/timeline", headers=ada)).json()
    assert [event["event_type"] for event in timeline] == ["order_created", "status_changed"]


async def test_no_step_without_its_event(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers, sql: asyncpg.Connection
) -> None:
    """They are one statement: where the trail cannot be written, nothing has happened, at inventory neither."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1")
    await sql.execute("ALTER TABLE order_events ADD CONSTRAINT no_more CHECK (event_type = 'order_created') NOT VALID")
    try:
        assert (await client.put("/ORD-1", json={"status": "cancelled"}, headers=bob)).is_error
        assert (await client.delete("/ORD-1", headers=bob)).is_error
    finally:
        await sql.execute("ALTER TABLE order_events DROP CONSTRAINT no_more")
    assert (await client.get("/ORD-1", headers=bob)).json()["status"] == "pending"
    assert await shelves.reservations("ORD-1") == {1: "held"}
