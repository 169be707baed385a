"""The inventory database: the catalogue, and what the orders of a batch have taken from it.

The pieces of a batch's orders come with the batch, as an entry for each SKU in the ledger, so nothing changes about
what is available: available + held + sold = ledger before it and after it. These entries also say, by their
correlation ID, that the batch is there.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg

from microdemo_demo.batches import Batch
from microdemo_demo.catalogue import ARTICLES
from microdemo_demo.loading import copy_rows
from microdemo_demo.plan import Order
from microdemo_inventory.reservations.models import ReservationLineRow, ReservationRow

__all__ = ("EPOCH", "add_articles", "add_reservations", "read_batches", "reserved_by_us", "reserved_ids")

EPOCH: Final = 0
"""Of an order's first reservation; each of the demo's orders has just this one."""

# Where the service keeps the hash of a request; no request has this one.
_OURS: Final = "demo"
_BEFORE_ANY_ORDER: Final = timedelta(days=30)


async def read_batches(connection: asyncpg.Connection) -> list[Batch]:
    """Those that are there, in their order."""
    names = await connection.fetch(
        "SELECT DISTINCT correlation_id AS name FROM stock_adjustments WHERE correlation_id LIKE 'demo:%'"
    )
    batches = (Batch.named(row["name"]) for row in names)
    return sorted((batch for batch in batches if batch is not None), key=lambda batch: batch.first)


async def add_articles(connection: asyncpg.Connection, opened: datetime) -> tuple[list[tuple[int, str]], list[str]]:
    """The id and SKU of each new item, and the SKUs that were there already and are left as they are."""
    at = opened - _BEFORE_ANY_ORDER
    added = await connection.fetch(
        """
        INSERT INTO items (sku, name, qty, price, created_at, updated_at)
        SELECT sku, name, qty, price, $5, $5
        FROM unnest($1::text[], $2::text[], $3::integer[], $4::numeric[]) AS n (sku, name, qty, price)
        ON CONFLICT DO NOTHING RETURNING id, sku
        """,
        [article.sku for article in ARTICLES],
        [article.name for article in ARTICLES],
        [article.available for article in ARTICLES],
        [article.price for article in ARTICLES],
        at,
    )
    await connection.execute(
        """
        INSERT INTO stock_adjustments (item_id, sku, delta, reason, created_at)
        SELECT id, sku, qty, 'opening stock', created_at FROM items WHERE id = ANY ($1) AND qty <> 0 ORDER BY id
        """,
        [row["id"] for row in added],
    )
    known = {row["sku"] for row in added}
    return [(row["id"], row["sku"]) for row in added], [item.sku for item in ARTICLES if item.sku not in known]


async def add_reservations(
    connection: asyncpg.Connection, batch: Batch, orders: Sequence[Order], admin: int | None
) -> None:
    """All that the batch means to inventory; in the caller's transaction."""
    columns = (
        *(ReservationRow.order_id, ReservationRow.epoch, ReservationRow.state, ReservationRow.request_hash),
        *(ReservationRow.created_at, ReservationRow.updated_at),
    )
    rows = ((order.id, EPOCH, order.saga, _OURS, order.steps[0].at, order.steps[-1].at) for order in orders)
    await copy_rows(connection, columns, rows)
    line_columns = (
        *(ReservationLineRow.order_id, ReservationLineRow.epoch, ReservationLineRow.line, ReservationLineRow.sku),
        *(ReservationLineRow.quantity, ReservationLineRow.price, ReservationLineRow.sold),
    )
    await copy_rows(connection, line_columns, _lines(orders))
    taken: Counter[str] = Counter()
    for order in orders:
        if order.saga != "released":
            taken.update({line.article.sku: line.quantity for line in order.lines})
    await connection.execute(
        """
        INSERT INTO stock_adjustments (item_id, sku, delta, reason, user_id, correlation_id, created_at)
        SELECT i.id, n.sku, n.delta, $3, $4, $5, $6
        FROM unnest($1::text[], $2::integer[]) AS n (sku, delta) LEFT JOIN items i ON i.sku = n.sku ORDER BY n.sku
        """,
        list(taken),
        list(taken.values()),
        f"delivery for orders {batch.id_range[0]} to {batch.id_range[1]}",
        admin,
        batch.name,
        batch.opens,
    )


async def reserved_ids(connection: asyncpg.Connection, batch: Batch) -> set[str]:
    """The batch's order ids for which inventory knows anything, whoever asked."""
    rows = await connection.fetch("SELECT order_id FROM reservations WHERE order_id BETWEEN $1 AND $2", *batch.id_range)
    return {row["order_id"] for row in rows}


async def reserved_by_us(connection: asyncpg.Connection, batch: Batch, limit: int | None = None) -> list[str]:
    """The first ``limit`` order ids that came with the batch."""
    rows = await connection.fetch(
        """
        SELECT order_id FROM reservations
        WHERE order_id BETWEEN $1 AND $2 AND epoch = $3 AND request_hash = $4 ORDER BY order_id LIMIT $5
        """,
        *batch.id_range,
        EPOCH,
        _OURS,
        limit,
    )
    return [row["order_id"] for row in rows]


def _lines(orders: Sequence[Order]) -> Iterator[tuple[Any, ...]]:
    """What is held or sold; nothing is kept of what was given back."""
    for order in orders:
        saga = order.saga
        if saga != "released":
            for number, (article, quantity) in enumerate(order.lines, start=1):
                yield order.id, EPOCH, number, article.sku, quantity, article.price, saga == "sold"
