"""The hot queries on 100,000 orders: each by an index, none by reading the table."""

import asyncpg
import httpx
import pytest

from microdemo_core.plugin import KernelPlugin
from microdemo_core.testing.plans import plan_of, statements_of
from microdemo_orders.repository import Orders

pytestmark = pytest.mark.anyio

Headers = dict[str, str]

FILL = """
INSERT INTO orders (id, user_id, status, total, items, version, epoch, saga, due_at, created_at)
SELECT 'ORD-' || n, 1 + n % 500,
       CASE WHEN n % 500 = 7 THEN 'processing'
            ELSE (ARRAY['pending', 'shipped', 'completed', 'cancelled'])[1 + n % 4] END,
       (n % 1000) / 10.0, '[{"sku": "SKU-1", "quantity": 1, "price": "10.00"}]', 1, 1,
       CASE WHEN n % 1000 = 0 THEN 'releasing' ELSE 'held' END,
       CASE WHEN n % 1000 = 0 THEN now() END,
       now() - n * interval '3 minutes'
FROM generate_series(1, 100000) n
"""
FILL_EVENTS = """
INSERT INTO order_events (order_id, event_type, description)
SELECT 'ORD-' || n, 'order_created', 'Order created.' FROM generate_series(1, 100000) n
"""


# What an admin's total and sums count is every row there is: the table or an index, whichever is smaller, and cached.
_EVERY_ROW = ("SELECT count(*) AS count_1", "GROUP BY orders.status")


@pytest.fixture
async def full(sql: asyncpg.Connection) -> None:
    await sql.execute(FILL)
    await sql.execute(FILL_EVENTS)
    # VACUUM: index-only scans need the visibility map.
    await sql.execute("VACUUM ANALYZE orders")
    await sql.execute("VACUUM ANALYZE order_events")


@pytest.mark.usefixtures("full")
async def test_hot_reads_use_indexes(
    client: httpx.AsyncClient, kernel: KernelPlugin, ada: Headers, bob: Headers
) -> None:
    """Lists, counts, statistics, single orders and timelines."""
    reads = [
        ("/?limit=50", bob, "ix_orders_own"),
        ("/?limit=50", ada, "ix_orders_newest"),
        ("/?limit=50&status=processing", ada, "ix_orders_status"),
        ("/?limit=50&cursor=", ada, "ix_orders_newest"),
        ("/analytics", bob, "ix_orders_own"),
        ("/analytics", ada, "ix_orders_newest"),
        ("/analytics/timeseries", bob, "ix_orders_own"),
        ("/analytics/timeseries", ada, "ix_orders_analytics"),
        ("/analytics/forecast", ada, "ix_orders_analytics"),
        ("/ORD-77", ada, "pk_orders"),
        ("/ORD-77/timeline", ada, "ix_order_events_order_id"),
        ("/export/csv", bob, "ix_orders_own"),
    ]
    for path, headers, index in reads:
        async with statements_of(kernel.database) as sent:
            assert (await client.get(path, headers=headers)).status_code == 200
        assert sent, path
        indexes: set[str] = set()
        async with kernel.database.unit_of_work(read_only=True) as work:
            for statement in sent:
                plan = await plan_of(work.session, statement)
                if headers is not ada or not any(part in statement.sql for part in _EVERY_ROW):
                    assert plan.sequential_scans == [], (path, plan)
                indexes |= plan.indexes
        assert index in indexes, (path, indexes)


@pytest.mark.usefixtures("full")
async def test_writes_and_the_workers_look_use_indexes(kernel: KernelPlugin) -> None:
    """Compare-and-set, taking up, and what is due."""
    async with kernel.database.unit_of_work() as work:
        async with statements_of(kernel.database) as sent:
            order = await Orders(work).take_up("ORD-1000")
            assert order is not None
            assert await Orders(work).advance(order, "released") is not None
        for statement in sent:
            plan = await plan_of(work.session, statement)
            assert (plan.sequential_scans, plan.uses_index("pk_orders")) == ([], True), plan
    async with kernel.database.unit_of_work(read_only=True) as work:
        from sqlalchemy import text

        due = text("SELECT id FROM orders WHERE due_at <= now() ORDER BY due_at LIMIT 10 FOR UPDATE SKIP LOCKED")
        assert (await plan_of(work.session, due)).uses_index("ix_orders_due")
