"""How PostgreSQL answers the hot queries on 100,000 items: by index, as it sees them, and as it ran them."""

import asyncpg
import httpx
import pytest

from microdemo_core.plugin import KernelPlugin
from microdemo_core.testing.plans import Plan, plan_of, statements_of

pytestmark = pytest.mark.anyio

FILL = (
    """
    INSERT INTO items (sku, name, qty, price)
    SELECT 'SKU-' || lpad(g::text, 6, '0'), 'Item ' || g, g % 500, 10 FROM generate_series(1, 100000) g
    """,
    """
    INSERT INTO reservations (order_id, epoch, state, request_hash)
    SELECT 'o' || g, 1, CASE WHEN g % 5 = 0 THEN 'held' ELSE 'sold' END, 'h' FROM generate_series(1, 50000) g
    """,
    """
    INSERT INTO reservation_lines (order_id, epoch, line, sku, quantity, price, sold)
    SELECT 'o' || g, 1, l, 'SKU-' || lpad((g * l % 100000 + 1)::text, 6, '0'), 1, 10, g % 5 <> 0
    FROM generate_series(1, 50000) g, generate_series(1, 2) l
    """,
    """
    INSERT INTO stock_adjustments (item_id, sku, delta, reason)
    SELECT g % 1000 + 1, 'SKU-1', 1, 'x' FROM generate_series(1, 100000) g
    """,
    "VACUUM ANALYZE items, reservations, reservation_lines, stock_adjustments",
)
SCANS = "SELECT relname, seq_scan, idx_scan FROM pg_stat_xact_user_tables"


@pytest.fixture
async def full(sql: asyncpg.Connection) -> asyncpg.Connection:
    for statement in FILL:
        await sql.execute(statement)
    return sql


async def plans_of(kernel: KernelPlugin, client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> list[Plan]:
    """What was sent to answer ``path``, explained."""
    async with statements_of(kernel.database) as sent:
        assert (await client.get(path, headers=headers)).status_code == 200
    assert sent
    async with kernel.database.unit_of_work() as work:
        return [await plan_of(work.session, statement) for statement in sent]


async def test_hot_reads_use_indexes(
    client: httpx.AsyncClient,
    user: dict[str, str],
    admin: dict[str, str],
    kernel: KernelPlugin,
    full: asyncpg.Connection,
) -> None:
    """One item by either name, and a page in each indexed order wherever it begins, without reading the rest."""
    [by_id] = await plans_of(kernel, client, "/777", user)
    assert by_id.indexes == {"pk_items"}
    [by_sku] = await plans_of(kernel, client, "/by-sku/SKU-000777", user)
    assert by_sku.indexes == {"uq_items_sku"}
    for path, index in (
        ("/", "pk_items"),
        ("/?sort=-sku", "uq_items_sku"),
        ("/?sort=created_at", "ix_items_created_at"),
    ):
        _count, page = await plans_of(kernel, client, path, user)
        assert page.indexes == {index}, page
        assert not page.sequential_scans, page
    first = await client.get("/?cursor=&sort=sku&limit=500", headers=user)
    _count, page = await plans_of(kernel, client, "/" + first.links["next"]["url"], user)
    assert page.indexes == {"uq_items_sku"}, page
    assert not page.sequential_scans, page
    for plan in await plans_of(kernel, client, "/5/adjustments", admin):
        assert plan.indexes == {"ix_stock_adjustments_item_id"}, plan


async def test_reservations_use_indexes(full: asyncpg.Connection) -> None:
    """Reserving, editing, selling and releasing never read a table whole, whatever is inside the functions."""
    skus = [f"SKU-{number:06}" for number in range(100, 110)]
    none = [None] * len(skus)
    reserve = "SELECT reserve_stock($1, $2, 'h', $3, $4, $5, NULL, false, $6)"
    async with full.transaction():
        # More than five times, after which PostgreSQL may settle on a generic plan.
        for number in range(12):
            order_id = f"n{number}"
            held = await full.fetchval(reserve, order_id, 1, skus, [1] * 10, none, None)
            edited = await full.fetchval(reserve, order_id, 2, skus[:5], [1] * 5, none[:5], 1)
            assert '"held"' in held
            assert '"held"' in edited
            await full.fetchval("SELECT sell_stock($1, 2)", order_id)
            await full.fetchval("SELECT release_stock($1, 2)", order_id)
        # This transaction's own counters: those of others arrive when they like.
        scans = {row["relname"]: (row["seq_scan"], row["idx_scan"]) for row in await full.fetch(SCANS)}
    for table in ("items", "reservations", "reservation_lines"):
        whole, by_index = scans[table]
        assert whole == 0, f"{table} was read whole"
        assert by_index > 12, f"{table} was hardly read"


async def test_questions_about_a_sku_use_an_index(
    client: httpx.AsyncClient, admin: dict[str, str], kernel: KernelPlugin, full: asyncpg.Connection
) -> None:
    """Whether orders hold or know a SKU is not found out by reading all lines."""
    async with statements_of(kernel.database) as sent:
        assert (await client.delete("/6", headers=admin)).status_code == 409
        assert (await client.put("/6", json={"sku": "X"}, headers=admin)).status_code == 409
    about_lines = [statement for statement in sent if "reservation_lines" in statement.sql]
    assert len(about_lines) == 2
    async with kernel.database.unit_of_work() as work:
        for statement in about_lines:
            plan = await plan_of(work.session, statement)
            assert plan.indexes == {"ix_reservation_lines_sku"}, plan
