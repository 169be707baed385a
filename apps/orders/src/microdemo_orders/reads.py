"""What is read often: one order and pages of orders, kept as encoded JSON. Redis away: the database answers."""

import re
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Select, Text, cast, false, func, or_, select
from sqlalchemy.dialects.postgresql import JSONPATH

from microdemo_core.cache import Cache, cached
from microdemo_core.db import Database, EncodedListing, PageRequest, fetch_page
from microdemo_orders.machine import Status
from microdemo_orders.models import OrderRow
from microdemo_orders.repository import Orders
from microdemo_orders.schemas import Order

__all__ = ("Filters", "Reads", "matching")

TTL_SECONDS: Final = 30
NEGATIVE_TTL_SECONDS: Final = 5


_NAME_PART: Final = re.compile(r"[A-Za-z0-9._-]+")
_SORTABLE: Final = {
    "created_at": OrderRow.created_at,
    "id": OrderRow.id,
    "total": OrderRow.total,
    "status": OrderRow.status,
}


class Filters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``since`` is included, ``until`` is not."""

    status: Status | None = None
    q: str | None = None
    user_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


class Reads:
    """``scope`` is a user's id, or ``all``; it comes before every other filter."""

    def __init__(self, cache: Cache, database: Database) -> None:
        self.cache = cache
        self._database = database

    @cached("orders:order:{order_id}", ttl_seconds=TTL_SECONDS, negative_ttl_seconds=NEGATIVE_TTL_SECONDS)
    async def order(self, order_id: str) -> Order | None:
        async with self._database.unit_of_work(read_only=True) as work:
            order = await Orders(work).get(order_id)
        return None if order is None or order.deleted_at else order.shown()

    @cached("orders:list:{scope}:{page}:{filters}", namespace="orders:of:{scope}", ttl_seconds=TTL_SECONDS)
    async def page(self, scope: str, page: PageRequest, filters: Filters) -> EncodedListing:
        async with self._database.unit_of_work(read_only=True) as work:
            listing = await fetch_page(
                work.session,
                matching(scope, filters),
                page,
                key=OrderRow.id,
                sortable=_SORTABLE,
                default_sort="-created_at",
            )
        return listing.encoded(OrderRow.shown)


def matching(scope: str, filters: Filters) -> Select[OrderRow]:
    statement = select(OrderRow).where(OrderRow.visible)
    if scope != "all":
        statement = statement.where(OrderRow.user_id == int(scope))
    if filters.status is not None:
        statement = statement.where(OrderRow.status == filters.status)
    if filters.user_id is not None:
        statement = statement.where(OrderRow.user_id == filters.user_id)
    if filters.since is not None:
        statement = statement.where(OrderRow.created_at >= filters.since)
    if filters.until is not None:
        statement = statement.where(OrderRow.created_at < filters.until)
    if filters.q:
        statement = statement.where(_holds(filters.q))
    return statement


def _holds(q: str) -> ColumnElement[bool]:
    """Whether the id, or a line's SKU, holds these characters. No index helps; the owner's filter comes first."""
    if not _NAME_PART.fullmatch(q):
        return false()
    skus = cast(func.jsonb_path_query_array(OrderRow.items, cast("$[*].sku", JSONPATH)), Text)
    return or_(OrderRow.id.icontains(q, autoescape=True), skus.icontains(q, autoescape=True))
