"""Counts of accounts, cached until one changes."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Date, Row, Select, cast, func, select

from microdemo_core.cache import Cache, cached
from microdemo_core.db import Database
from microdemo_users.directory import USERS
from microdemo_users.models import User
from microdemo_users.schemas import SignupDay, Signups, Summary

__all__ = ("MAX_DAYS", "Analytics", "head_counts", "signups_by_day", "signups_since")

MAX_DAYS = 180


class Analytics:
    def __init__(self, cache: Cache, database: Database) -> None:
        self.cache = cache
        self._database = database

    @cached("users:summary", ttl_seconds=30, namespace=USERS)
    async def summary(self) -> Summary:
        async with self._database.unit_of_work(read_only=True) as work:
            counts = (await work.session.execute(head_counts())).all()
            recent = await work.session.scalar(signups_since(datetime.now(UTC) - timedelta(days=7)))
        return _summary(counts, recent or 0)

    async def signups(self, days: int) -> bytes:
        """Signups as JSON: ``days`` days up to today in UTC, 1 to 180 whatever is asked, each with its count."""
        return await self._signups.encoded(min(max(days, 1), MAX_DAYS), datetime.now(UTC).date())

    @cached("users:signups:{days}:{today}", ttl_seconds=30, namespace=USERS)
    async def _signups(self, days: int, today: date) -> Signups:
        first = today - timedelta(days=days - 1)
        async with self._database.unit_of_work(read_only=True) as work:
            found = {row.day: row.signups for row in await work.session.execute(signups_by_day(first))}
        dates = (first + timedelta(days=offset) for offset in range(days))
        return Signups(days=days, series=[SignupDay(day, found.get(day, 0)) for day in dates])


def head_counts() -> Select[str, bool, int]:
    """One row per role and state, from ``ix_users_role_is_active`` alone."""
    return select(User.role, User.is_active, func.count().label("heads")).group_by(User.role, User.is_active)


def signups_since(moment: datetime) -> Select[int]:
    return select(func.count()).select_from(User).where(User.created_at >= moment)


def signups_by_day(first: date) -> Select[date, int]:
    day = cast(func.timezone("UTC", User.created_at), Date).label("day")
    since = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return select(day, func.count().label("signups")).where(User.created_at >= since).group_by(day)


def _summary(counts: Sequence[Row[str, bool, int]], recent: int) -> Summary:
    by_role = {"user": 0, "admin": 0}
    active = 0
    for role, is_active, heads in counts:
        by_role[role] += heads
        active += heads if is_active else 0
    total = sum(by_role.values())
    return Summary(total, active, total - active, by_role, recent)
