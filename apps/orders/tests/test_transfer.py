"""Orders as CSV: what goes out comes in again, an import is history, and a bad row does not stop a good one."""

import csv
import io
from typing import Any

import asyncpg
import httpx
import pytest

from microdemo_core.testing.tokens import Tokens

from .conftest import Neighbour, OrdersApp, Place, Shelves
from .test_reading import add

pytestmark = pytest.mark.anyio

Headers = dict[str, str]
HEADER = "id,user_id,total,status,items_json,created_at"
AT = "2026-03-01T10:00:00.123456Z"


def row(
    order_id: str,
    *,
    user_id: Any = 2,
    total: str = "20.00",
    status: str = "completed",
    items: str = '[{"sku":"SKU-1","quantity":2,"price":"10.00"}]',
    at: str = AT,
) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([order_id, user_id, total, status, items, at])
    return out.getvalue().strip()


async def send(client: httpx.AsyncClient, headers: Headers, *rows: str, **params: Any) -> dict[str, Any]:
    file = {"file": ("orders.csv", "\n".join((HEADER, *rows)) + "\n", "text/csv")}
    answer = await client.post("/import/csv", files=file, params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def counts(report: dict[str, Any]) -> tuple[int, int, int]:
    return report["created_count"], report["updated_count"], report["skipped_count"]


async def test_an_export_can_be_imported(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers, bob: Headers, eve: Headers
) -> None:
    """Whole, unchanged rows are skipped; into empty tables it makes the same orders with the same stock."""
    await shelves.add("SKU-1", 10, "3.33")
    await place(("SKU-1", 2), id="ORD-1")
    await place(("SKU-1", 1), id="ORD-2", by=eve)
    await client.put("/ORD-2", json={"status": "cancelled"}, headers=eve)
    text = (await client.get("/export/csv", headers=ada)).text
    assert text.splitlines()[0] == HEADER
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == ["ORD-2", "ORD-1"]
    assert len((await client.get("/export/csv", headers=bob)).text.splitlines()) == 2
    report = await send(client, ada, *text.splitlines()[1:])
    assert (counts(report), report["errors"], report["inventory_created_count"]) == ((0, 0, 2), [], 0)
    other = await send(client, ada, text.splitlines()[2].replace("ORD-1", "ORD-9"))
    assert counts(other) == (1, 0, 0)
    assert await shelves.left("SKU-1") == 6
    order, copy = [(await client.get(f"/{number}", headers=ada)).json() for number in ("ORD-1", "ORD-9")]
    ours = ("user_id", "total", "status", "items", "created_at")
    assert [copy[name] for name in ours] == [order[name] for name in ours]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_unchanged_row_creates_no_sku(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers, *, dry_run: bool
) -> None:
    """A SKU that was deleted after its last order stays deleted when the export is imported again."""
    await shelves.add("SKU-1", 10, "3.33")
    await place(("SKU-1", 2), id="ORD-1")
    await client.put("/ORD-1", json={"status": "completed"}, headers=ada)
    await shelves.remove("SKU-1")
    exported = (await client.get("/export/csv", headers=ada)).text.splitlines()[1:]
    report = await send(client, ada, *exported, dry_run=dry_run)
    assert (counts(report), report["errors"], report["inventory_created_count"]) == ((0, 0, 1), [], 0)
    assert not await shelves.knows("SKU-1")


async def test_an_import_is_history(client: httpx.AsyncClient, shelves: Shelves, ada: Headers) -> None:
    """Prices, totals and times as given; only pending and processing take stock; unknown SKUs appear empty."""
    await shelves.add("SKU-1", 10, "99.00")
    report = await send(
        client, ada,
        row("P", status="pending"), row("Q", status="processing"), row("S", status="shipped"),
        row("C", status="cancelled"), row("N", items='[{"sku":"NEW-1","quantity":1,"price":20}]'),
    )  # fmt: skip
    assert (counts(report), report["inventory_created_count"], report["errors"]) == ((5, 0, 0), 1, [])
    assert (await shelves.left("SKU-1"), await shelves.left("NEW-1")) == (6, 0)
    order = (await client.get("/P", headers=ada)).json()
    assert (order["total"], order["status"], order["created_at"]) == ("20.00", "pending", AT)
    assert (await client.get("/Q", headers=ada)).json()["status"] == "processing"
    for order_id in "PQSCN":
        timeline = (await client.get(f"/{order_id}/timeline", headers=ada)).json()
        assert [event["event_type"] for event in timeline] == ["order_imported"], order_id
    assert await shelves.unbalanced() == []


async def test_bad_rows_are_named_and_good_ones_kept(
    client: httpx.AsyncClient, shelves: Shelves, ada: Headers, bob: Headers, place: Place
) -> None:
    """Each with its line and column; a shortage is one of them."""
    await shelves.add("SKU-1", 3)
    await place(("SKU-1", 1), id="GONE")
    await client.delete("/GONE", headers=bob)
    report = await send(
        client, ada,
        row("GOOD"),
        row("-bad"),
        row("SUM", total="19.99"),
        row("ST", status="rejected"),
        row("J", items="[]"),
        row("GOOD", total="20.00"),
        row("SHORT", status="pending", items='[{"sku":"SKU-1","quantity":9,"price":1}]', total="9"),
        row("GONE"),
        row("analytics"),
        row("ALSO"),
        row("SKU", items='[{"sku":"by-sku","quantity":1,"price":1}]', total="1"),
        row("TZ", at="2026-03-01T10:00:00"),
        row("OLD", at="0001-01-01T00:00:00+14:00"),
    )  # fmt: skip
    assert counts(report) == (2, 0, 11)
    found = [(error["line"], error["column"]) for error in report["row_errors"]]
    assert found == [
        (3, "id"), (4, "total"), (5, "status"), (6, "items_json"), (7, "id"), (8, None), (9, None), (10, "id"),
        (12, "items_json"), (13, "created_at"),
        (14, "created_at"),
    ]  # fmt: skip
    assert "SKU-1: 9 wanted, 3 available" in report["row_errors"][5]["reason"]
    assert len(report["errors"]) == 11
    assert await shelves.left("SKU-1") == 3


async def test_rows_change_stored_orders(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers, bob: Headers
) -> None:
    """By legal steps only, with the stock that follows, and an event for each."""
    await shelves.add("SKU-1", 10)
    for order_id in ("EDIT", "SHIP", "SOLD"):
        await place(("SKU-1", 1), id=order_id)
    await client.put("/SOLD", json={"status": "completed"}, headers=ada)
    export = (await client.get("/export/csv", headers=ada)).text.splitlines()
    stored = {line.split(",")[0]: line for line in export[1:]}
    changed = [
        stored["EDIT"].replace("10.00", "40.00", 1).replace('""quantity"":1', '""quantity"":4'),
        stored["SHIP"].replace("pending", "cancelled"),
        stored["SOLD"].replace("completed", "pending"),
    ]
    report = await send(client, ada, *changed)
    assert counts(report) == (0, 2, 1), report
    assert "completed cannot become pending" in report["errors"][0]
    edited = (await client.get("/EDIT", headers=ada)).json()
    assert (edited["total"], edited["items"][0]["quantity"]) == ("40.00", 4)
    assert (await client.get("/SHIP", headers=ada)).json()["status"] == "cancelled"
    assert await shelves.left("SKU-1") == 5
    timeline = (await client.get("/EDIT/timeline", headers=ada)).json()
    assert [event["event_type"] for event in timeline] == ["order_created", "items_changed", "order_imported"]
    assert await shelves.unbalanced() == []


async def test_history_is_corrected_without_stock(client: httpx.AsyncClient, shelves: Shelves, ada: Headers) -> None:
    """A past order's lines, owner and time are what the newest file says."""
    await shelves.add("SKU-1", 10)
    await send(client, ada, row("H"))
    again = row(
        "H", user_id=7, total="5.00", items='[{"sku":"SKU-1","quantity":1,"price":5}]', at="2026-02-01T00:00:00Z"
    )
    assert counts(await send(client, ada, again)) == (0, 1, 0)
    order = (await client.get("/H", headers=ada)).json()
    assert (order["user_id"], order["total"], order["created_at"]) == (7, "5.00", "2026-02-01T00:00:00Z")
    assert counts(await send(client, ada, again)) == (0, 0, 1)
    assert await shelves.left("SKU-1") == 10


async def test_a_dry_run_changes_nothing(
    client: httpx.AsyncClient, shelves: Shelves, ada: Headers, sql: asyncpg.Connection, people: dict[str, int]
) -> None:
    """It counts what the import would do, without an order, an event or a SKU more."""
    await shelves.add("SKU-1", 10)
    await add(sql, "OLD", people["Bob"])
    rows = [
        row("NEW", status="pending"),
        row("OLD"),
        row("BAD", total="1"),
        row("X", items='[{"sku":"Y","quantity":2,"price":10}]'),
    ]
    report = await send(client, ada, *rows, dry_run="true")
    assert (counts(report), report["inventory_created_count"], report["dry_run"]) == ((2, 1, 1), 1, True)
    assert await sql.fetchval("SELECT count(*) FROM orders") == 1
    assert await sql.fetchval("SELECT count(*) FROM order_events") == 0
    assert await shelves.left("SKU-1") == 10
    real = await send(client, ada, *rows)
    assert (counts(real), real["inventory_created_count"]) == ((2, 1, 1), 1)


async def test_formulas_are_restored(client: httpx.AsyncClient, shelves: Shelves, ada: Headers) -> None:
    """What an export made inert for spreadsheets is read as it was."""
    await shelves.add("SKU-1", 10)
    assert counts(await send(client, ada, row("F").replace("F,", "'-F,"))) == (0, 0, 1)
    guarded = row("F", items="'" + '[{"sku":"SKU-1","quantity":2,"price":"10.00"}]')
    assert counts(await send(client, ada, guarded))[0] == 0  # an apostrophe before what is no formula belongs to it


async def test_only_an_admin_imports(client: httpx.AsyncClient, bob: Headers) -> None:
    """403, whatever the file."""
    answer = await client.post("/import/csv", files={"file": ("o.csv", HEADER, "text/csv")}, headers=bob)
    assert answer.status_code == 403


async def test_inventory_down(
    orders_app: OrdersApp, closed_url: str, ada: Headers, sql: asyncpg.Connection, people: dict[str, int]
) -> None:
    """503 before anything is written, since no SKU can be known."""
    async with orders_app(INVENTORY_URL=closed_url) as orders:
        file = {"file": ("orders.csv", f"{HEADER}\n{row('A')}\n", "text/csv")}
        answer = await orders.client.post("/import/csv", files=file, headers=ada)
    assert answer.status_code == 503
    assert await sql.fetchval("SELECT count(*) FROM orders") == 0


async def test_a_refused_row_leaves_the_order_as_it_was(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers, people: dict[str, int]
) -> None:
    """Its time too: it comes with the lines, or not at all."""
    await shelves.add("SKU-1", 3)
    before = (await place(("SKU-1", 1), id="ORD-1")).json()
    more = row(
        "ORD-1",
        user_id=people["Bob"],
        status="pending",
        total="90.00",
        items='[{"sku":"SKU-1","quantity":9,"price":10}]',
    )
    report = await send(client, ada, more)
    assert (counts(report), "9 wanted, 3 available" in report["errors"][0]) == ((0, 0, 1), True)
    assert (await client.get("/ORD-1", headers=ada)).json()["created_at"] == before["created_at"]
    assert counts(await send(client, ada, more.replace(":9", ":3").replace("90.00", "30.00"))) == (0, 1, 0)
    assert (await client.get("/ORD-1", headers=ada)).json()["created_at"] == AT


async def test_a_row_that_was_given_up_is_no_order(
    client: httpx.AsyncClient, shelves: Shelves, ada: Headers, tokens: Tokens, neighbours: list[Neighbour]
) -> None:
    """Its reservation was released before it was made: the report says that the row failed."""
    await shelves.add("SKU-1", 10)
    async with httpx.AsyncClient(base_url=neighbours[1].url, headers=tokens.service("inventory")) as inventory:
        assert (await inventory.delete("/reservations/ORD-1/1")).status_code == 200
    report = await send(client, ada, row("ORD-1", status="pending"))
    assert (counts(report), len(report["errors"])) == ((0, 0, 1), 1)
    assert await shelves.left("SKU-1") == 10


async def test_history_with_and_without_times(client: httpx.AsyncClient, shelves: Shelves, ada: Headers) -> None:
    """Rows of one file need not agree on it: what has no time is from now."""
    await shelves.add("SKU-1", 10)
    assert counts(await send(client, ada, row("OLD"), row("NEW", at=""), row("PAST"))) == (3, 0, 0)
    times = [(await client.get(f"/{order_id}", headers=ada)).json()["created_at"] for order_id in ("OLD", "NEW")]
    assert times[0] == AT
    assert times[1] > AT
