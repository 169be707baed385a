"""The orders database: orders with their audit trail, worded as the service words it."""

from collections.abc import Collection, Iterator, Sequence
from operator import itemgetter
from typing import Any

import asyncpg

from microdemo_demo.batches import Batch
from microdemo_demo.loading import copy_rows
from microdemo_demo.plan import Order
from microdemo_demo.stock import EPOCH
from microdemo_orders.models import EventRow, OrderRow

__all__ = ("add_orders", "known_ids")


async def add_orders(connection: asyncpg.Connection, orders: Sequence[Order], admin: int | None) -> None:
    """Orders and events in one transaction."""
    columns = (
        *(OrderRow.id, OrderRow.user_id, OrderRow.status, OrderRow.total, OrderRow.items, OrderRow.version),
        *(OrderRow.epoch, OrderRow.held_epoch, OrderRow.saga, OrderRow.created_at, OrderRow.updated_at),
    )
    event_columns = (
        *(EventRow.order_id, EventRow.event_type, EventRow.description, EventRow.old_value, EventRow.new_value),
        *(EventRow.user_id, EventRow.created_at),
    )
    # Their ids are drawn in the order of their times.
    events = sorted((event for order in orders for event in _events(order, admin)), key=itemgetter(-1))
    async with connection.transaction():
        await copy_rows(connection, columns, map(_order, orders))
        await copy_rows(connection, event_columns, events)


async def known_ids(connection: asyncpg.Connection, ids: Collection[str] | Batch) -> set[str]:
    """Those among ``ids`` that an order has, whatever has become of it."""
    if isinstance(ids, Batch):
        rows = await connection.fetch("SELECT id FROM orders WHERE id BETWEEN $1 AND $2", *ids.id_range)
    else:
        rows = await connection.fetch("SELECT id FROM orders WHERE id = ANY ($1)", list(ids))
    return {row["id"] for row in rows}


def _order(order: Order) -> tuple[Any, ...]:
    saga = order.saga
    items = ", ".join(
        f'{{"sku": "{article.sku}", "quantity": {quantity}, "price": "{article.price}"}}'
        for article, quantity in order.lines
    )
    return (
        *(order.id, order.user_id, order.status, order.total, f"[{items}]", len(order.steps)),
        *(EPOCH, None if saga == "released" else EPOCH, saga, order.steps[0].at, order.steps[-1].at),
    )


def _events(order: Order, admin: int | None) -> Iterator[tuple[Any, ...]]:
    """As :mod:`microdemo_orders.events` tells them. Owners place and cancel, the admin does the rest."""
    count, (placed, status) = len(order.lines), order.steps[0]
    created = f"Order created: {count} line{'s' if count > 1 else ''}, {order.total} in all."
    yield order.id, "order_created", created, None, status, order.user_id, placed
    for at, next_status in order.steps[1:]:
        description = f"Status changed from {status} to {next_status}."
        actor = order.user_id if next_status == "cancelled" else admin
        yield order.id, "status_changed", description, status, next_status, actor, at
        status = next_status
