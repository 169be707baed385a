"""Items as CSV: out, in, and back again."""

import csv
import io
from typing import Any

import asyncpg
import httpx
import pytest

from .conftest import AddItem, Reserve, unbalanced

pytestmark = pytest.mark.anyio


async def send(
    client: httpx.AsyncClient, headers: dict[str, str], content: str, *, dry_run: bool = False
) -> dict[str, Any]:
    files = {"file": ("inventory.csv", content.encode(), "text/csv")}
    answer = await client.post("/import/csv", files=files, params={"dry_run": dry_run}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def contents(sql: asyncpg.Connection) -> dict[str, tuple[Any, ...]]:
    rows = await sql.fetch("SELECT sku, qty, name, price::text, version FROM items")
    return {row["sku"]: tuple(row)[1:] for row in rows}


def counts(report: dict[str, Any]) -> tuple[int, int, int]:
    return report["created_count"], report["updated_count"], report["skipped_count"]


async def test_export(client: httpx.AsyncClient, user: dict[str, str], add_item: AddItem) -> None:
    """The first version's columns first, ours behind them; a formula is made inert."""
    plain = await add_item("A", 5, name="Mug", price=10)
    await add_item("B", 0, name="=1+1")
    answer = await client.get("/export/csv", headers=user)
    assert answer.headers["content-type"].startswith("text/csv")
    assert "inventory.csv" in answer.headers["content-disposition"]
    header, first, second = csv.reader(io.StringIO(answer.text))
    assert header == ["id", "sku", "qty", "created_at", "name", "price", "updated_at", "version"]
    assert first == [str(plain["id"]), "A", "5", plain["created_at"], "Mug", "10.00", plain["updated_at"], "1"]
    assert second[4:6] == ["'=1+1", ""]


async def test_export_of_more_than_a_step(
    client: httpx.AsyncClient, user: dict[str, str], sql: asyncpg.Connection
) -> None:
    """Every item once, in order, however many there are."""
    await sql.execute("INSERT INTO items (sku) SELECT 'S' || g FROM generate_series(1, 2001) g")
    answer = await client.get("/export/csv", headers=user)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["id"]) for row in rows] == list(range(1, 2002))


async def test_import(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, sql: asyncpg.Connection
) -> None:
    """New SKUs are created, others updated, unchanged ones passed over; what a row leaves out stays."""
    await add_item("A", 5, name="Mug", price=10)
    await add_item("B", 5, name="Cup", price=2)
    report = await send(client, admin, "sku,qty,name,price\nA,7,,\nB,5,Cup,2.00\nC,3,=1+1,9.995\nD,0,,\n")
    assert counts(report) == (2, 1, 1)
    assert (report["row_errors"], report["dry_run"]) == ([], False)
    assert await contents(sql) == {
        "A": (7, "Mug", "10.00", 2),
        "B": (5, "Cup", "2.00", 1),
        "C": (3, "=1+1", "10.00", 2),
        "D": (0, "", None, 1),
    }
    rows = await sql.fetch("SELECT sku, delta, user_id FROM stock_adjustments WHERE reason = 'CSV import' ORDER BY sku")
    assert [tuple(row) for row in rows] == [("A", 2, 1), ("C", 3, 1)]
    assert await unbalanced(sql) == []


async def test_the_first_versions_columns_are_enough(
    client: httpx.AsyncClient, admin: dict[str, str], sql: asyncpg.Connection
) -> None:
    """SKU and quantity, in any order and any case, beside columns that nobody knows."""
    report = await send(client, admin, "colour,QTY,Sku\nblue,4,A\n")
    assert counts(report) == (1, 0, 0)
    assert await contents(sql) == {"A": (4, "", None, 2)}


async def test_bad_rows_are_named_and_good_ones_kept(
    client: httpx.AsyncClient, admin: dict[str, str], sql: asyncpg.Connection
) -> None:
    """Each with its line, its column and its reason."""
    rows = [
        "sku,qty,name,price",
        "GOOD,1,,",
        "a b,1,,",
        "A,-1,,",
        "B,x,,",
        "C,1,,-1",
        "D,1,,NaN",
        "export,1,,",
        "GOOD,2,,",
        ',1,"a\nb",',
        'E,1,"a\nb",0',
        "LAST,1,,",
    ]
    report = await send(client, admin, "\n".join(rows))
    assert counts(report) == (2, 0, 9)
    assert [(error["line"], error["column"]) for error in report["row_errors"]] == [
        (3, "sku"),
        (4, "qty"),
        (5, "qty"),
        (6, "price"),
        (7, "price"),
        (8, "sku"),
        (9, "sku"),
        (10, "sku"),
        (12, "name"),
    ]
    assert report["row_errors"][6]["reason"] == "this SKU is in line 2 already"
    assert len(report["errors"]) == 9
    assert set(await contents(sql)) == {"GOOD", "LAST"}


async def test_a_dry_run_changes_nothing(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, sql: asyncpg.Connection
) -> None:
    """It reports what would be done, and the same file then does it."""
    await add_item("A", 5)
    before = await contents(sql)
    file = "sku,qty\nA,7\nB,1\nC,x\n"
    planned = await send(client, admin, file, dry_run=True)
    assert await contents(sql) == before
    assert await sql.fetchval("SELECT count(*) FROM stock_adjustments") == 1
    done = await send(client, admin, file)
    assert planned == {**done, "dry_run": True}
    assert counts(done) == (1, 1, 1)


async def test_what_is_exported_imports_unchanged(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, sql: asyncpg.Connection
) -> None:
    """A round trip changes nothing, and restores everything; formula cells come back as they were."""
    names = ["=1+1", "'quoted", "@cmd", '"a", b', "", "-5", "Ä"]
    for number, name in enumerate(names):
        await add_item(f"S{number}", number, name=name, price=number if number % 2 else None)
    exported = (await client.get("/export/csv", headers=admin)).text
    assert counts(await send(client, admin, exported)) == (0, 0, len(names))
    before = await contents(sql)
    await sql.execute("TRUNCATE items, stock_adjustments")
    assert counts(await send(client, admin, exported)) == (len(names), 0, 0)
    restored = await contents(sql)
    assert {sku: item[:3] for sku, item in restored.items()} == {sku: item[:3] for sku, item in before.items()}
    assert await unbalanced(sql) == []


async def test_an_import_of_more_than_a_step(
    client: httpx.AsyncClient, admin: dict[str, str], user: dict[str, str], sql: asyncpg.Connection
) -> None:
    """A long file in any order; what was read before is forgotten."""
    assert (await client.get("/by-sku/S1200", headers=user)).status_code == 404
    await client.get("/", headers=user)
    file = "sku,qty\n" + "".join(f"S{number},{number}\n" for number in range(1201, 0, -1))
    assert counts(await send(client, admin, file)) == (1201, 0, 0)
    assert (await client.get("/by-sku/S1200", headers=user)).json()["qty"] == 1200
    assert (await client.get("/", headers=user)).headers["x-total-count"] == "1201"
    assert await unbalanced(sql) == []


async def test_an_import_counts_what_orders_hold(
    client: httpx.AsyncClient, admin: dict[str, str], add_item: AddItem, reserve: Reserve, sql: asyncpg.Connection
) -> None:
    """It sets what is available; what is held stays held."""
    await add_item("A", 5, price=1)
    await reserve("o1", 1, [("A", 3)])
    await send(client, admin, "sku,qty\nA,10\n")
    row = await sql.fetchrow("SELECT available, held, ledger FROM stock_balances WHERE sku = 'A'")
    assert tuple(map(int, row)) == (10, 3, 13)
