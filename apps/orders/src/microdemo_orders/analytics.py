"""Statistics of one user's orders, or of all: sums in SQL, the forecast off the event loop, answers kept as JSON."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from sqlalchemy import ColumnElement, Date, Select, and_, cast, func, select

from microdemo_core.cache import Cache, cached
from microdemo_core.db import Database
from microdemo_orders import forecast as forecasting
from microdemo_orders.machine import Status
from microdemo_orders.models import OrderRow
from microdemo_orders.schemas import DayOfOrders, RecentOrder, Summary, Timeseries

__all__ = (
    "LONGEST_FORECAST",
    "LONGEST_TIMESERIES",
    "Analytics",
    "Confidence",
    "per_day",
    "per_status",
    "recent",
    "since",
)

Confidence = Literal["0.8", "0.95", "0.99"]

HISTORY_DAYS: Final = 90
LONGEST_TIMESERIES: Final = 180
LONGEST_FORECAST: Final = 90
_RECENT_ORDERS: Final = 5
_TTL_SECONDS: Final = 30

# A cancelled order counts as an order, and earns nothing.
_REVENUE: Final = func.coalesce(func.sum(OrderRow.total).filter(OrderRow.status != "cancelled"), 0)
_DAY: Final = cast(func.timezone("UTC", OrderRow.created_at), Date)


class Analytics:
    """``scope`` is a user's id, or ``all``. Days are UTC's; the last of a series is today, of a history yesterday."""

    def __init__(self, cache: Cache, database: Database) -> None:
        self.cache = cache
        self._database = database

    @cached("orders:analytics:{scope}", namespace="orders:of:{scope}", ttl_seconds=_TTL_SECONDS)
    async def summary(self, scope: str) -> Summary:
        async with self._database.unit_of_work(read_only=True) as work:
            by_status = (await work.session.execute(per_status(scope))).all()
            recent_count = await work.session.scalar(since(scope, func.now() - timedelta(days=7)))
            newest = (await work.session.execute(recent(scope))).all()
        return Summary(
            total_orders=sum(count for _, count, _ in by_status),
            total_revenue=sum((revenue for _, _, revenue in by_status), start=Decimal("0.00")),
            status_breakdown={status: count for status, count, _ in sorted(by_status, key=lambda row: row[0])},
            recent_orders_7d=recent_count or 0,
            recent_orders=[
                RecentOrder(id=id_, user_id=user_id, total=total, status=status, created_at=created_at)
                for id_, user_id, total, status, created_at in newest
            ],
        )

    @cached("orders:timeseries:{scope}:{days}", namespace="orders:of:{scope}", ttl_seconds=_TTL_SECONDS)
    async def timeseries(self, scope: str, days: int) -> Timeseries:
        return Timeseries(days, await self._days(scope, days))

    @cached(
        "orders:forecast:{scope}:{days}:{method}:{seasonality}:{confidence}",
        namespace="orders:of:{scope}",
        ttl_seconds=_TTL_SECONDS,
    )
    async def forecast(
        self,
        scope: str,
        days: int,
        method: forecasting.Method,
        seasonality: forecasting.Seasonality,
        confidence: Confidence,
    ) -> forecasting.Forecast:
        # Without today: it is not over, and a part of a day's revenue would drag every method down.
        history = (await self._days(scope, HISTORY_DAYS + 1))[:-1]
        return await asyncio.to_thread(
            forecasting.forecast,
            [day.revenue for day in history],
            history[0].date,
            days=days,
            method=method,
            seasonality=seasonality,
            confidence=float(confidence),
        )

    async def _days(self, scope: str, days: int) -> list[DayOfOrders]:
        today = datetime.now(UTC).date()
        first = today - timedelta(days=days - 1)
        async with self._database.unit_of_work(read_only=True) as work:
            found = (await work.session.execute(per_day(scope, first))).all()
        known = {day: DayOfOrders(day, count, float(revenue)) for day, count, revenue in found}
        every = (first + timedelta(days=n) for n in range(days))
        return [known.get(day) or DayOfOrders(day, 0, 0.0) for day in every]


def per_status(scope: str) -> Select[Status, int, Decimal]:
    return select(OrderRow.status, func.count(), _REVENUE).where(_visible(scope)).group_by(OrderRow.status)


def since(scope: str, begin: ColumnElement[datetime]) -> Select[int]:
    return select(func.count()).select_from(OrderRow).where(_visible(scope), OrderRow.created_at >= begin)


def recent(scope: str) -> Select[str, int, Decimal, Status, datetime]:
    columns = (OrderRow.id, OrderRow.user_id, OrderRow.total, OrderRow.status, OrderRow.created_at)
    newest_first = (OrderRow.created_at.desc(), OrderRow.id.desc())
    return select(*columns).where(_visible(scope)).order_by(*newest_first).limit(_RECENT_ORDERS)


def per_day(scope: str, first: date) -> Select[date, int, Decimal]:
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return select(_DAY, func.count(), _REVENUE).where(_visible(scope), OrderRow.created_at >= begin).group_by(_DAY)


def _visible(scope: str) -> ColumnElement[bool]:
    whose = () if scope == "all" else (OrderRow.user_id == int(scope),)
    return and_(OrderRow.visible, *whose)
