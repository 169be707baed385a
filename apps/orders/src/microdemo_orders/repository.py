"""SQL of orders, their events and Idempotency-Keys.

An order is only ever changed by compare-and-set: on everything that was seen (:meth:`Orders.change`), or on how far
it has got with inventory (:meth:`Orders.advance`). Both answer None when somebody else was first.
"""

from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncSession

from microdemo_core.db import Database, UnitOfWork
from microdemo_orders.events import Event
from microdemo_orders.machine import UNPLACED, UNSETTLED, Saga, may_step
from microdemo_orders.models import EventRow, KeyRow, OrderRow

__all__ = ("Keys", "Orders", "after", "entry_of", "exported", "namespace_of")

KEY_LIFETIME: Final = timedelta(hours=24)
_EXPORT_ROWS: Final = 500


def entry_of(order_id: str) -> str:
    """The cache's key of one order."""
    return f"orders:order:{order_id}"


def namespace_of(scope: str) -> str:
    """The cache's namespace of lists and statistics: of one user, or of ``all``."""
    return f"orders:of:{scope}"


def after(seconds: float) -> ColumnElement[datetime]:
    """On the database's clock, which all replicas share."""
    return func.now() + timedelta(seconds=seconds)


class Orders:
    """Orders and their events. Every write tells the unit of work which cached answers it makes stale."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._session: AsyncSession = work.session

    async def get(self, order_id: str) -> OrderRow | None:
        """Whatever its saga says, deleted ones too."""
        return await self._session.get(OrderRow, order_id, populate_existing=True)

    async def get_all(self, ids: Collection[str]) -> dict[str, OrderRow]:
        rows = await self._session.scalars(select(OrderRow).where(OrderRow.id.in_(ids)))
        return {row.id: row for row in rows}

    async def insert(self, **values: Any) -> OrderRow | None:
        """None where the id is taken. A rejected or failed order frees its id, with the next epoch."""
        fresh = {"epoch": 1, **values}
        statement = insert_or(OrderRow).values(**fresh)
        reset = {
            "version": 0,
            "attempts": 0,
            "held_epoch": None,
            "intent": None,
            "refusals": None,
            "reason": None,
            "due_at": None,
            "deadline_at": None,
            "created_at": func.now(),
            "updated_at": func.now(),
            **values,
            "epoch": OrderRow.epoch + 1,
        }
        statement = statement.on_conflict_do_update(
            index_elements=[OrderRow.id],
            set_=reset,
            where=OrderRow.saga.in_(("rejected", "failed")) & OrderRow.deleted_at.is_(None),
        )
        order = await self._session.scalar(statement.returning(OrderRow), execution_options={"populate_existing": True})
        if order is not None and order.saga in UNPLACED:
            # In no list yet; but somebody may have looked for its id.
            self._work.invalidate(entry_of(order.id))
        else:
            self._touch(order)
        return order

    async def insert_history(self, rows: list[dict[str, Any]]) -> list[OrderRow]:
        """Those whose id was free, several at once."""
        statement = insert_or(OrderRow).on_conflict_do_nothing().returning(OrderRow)
        orders = list((await self._session.scalars(statement, rows)).all())
        for order in orders:
            self._touch(order)
        return orders

    async def change(self, seen: OrderRow, **values: Any) -> OrderRow | None:
        """Unless anything at all has changed since it was seen."""
        same = (OrderRow.version == seen.version) & OrderRow.deleted_at.is_(None)
        return await self._move(seen, values.get("saga", seen.saga), values, same)

    async def advance(
        self, seen: OrderRow, to: Saga, *, only_if: ColumnElement[bool] | None = None, **values: Any
    ) -> OrderRow | None:
        """Unless it has got further with inventory, or is at another epoch."""
        return await self._move(seen, to, {"saga": to, **values}, only_if)

    async def _move(
        self, seen: OrderRow, to: Saga, values: dict[str, Any], condition: ColumnElement[bool] | None
    ) -> OrderRow | None:
        if not may_step(seen.saga, to):
            raise RuntimeError(f"{seen.saga} must not become {to}")
        statement = update(OrderRow).where(
            OrderRow.id == seen.id, OrderRow.saga == seen.saga, OrderRow.epoch == seen.epoch
        )
        if condition is not None:
            statement = statement.where(condition)
        order = await self._session.scalar(
            statement.values(**values).returning(OrderRow),
            execution_options={"synchronize_session": False, "populate_existing": True},
        )
        self._touch(seen, order)
        return order

    async def take_up(self, order_id: str, *, again_in_seconds: float) -> OrderRow | None:
        """An order that something is still to be done for, counted as one more attempt; None if it is settled."""
        statement = (
            update(OrderRow)
            .where(OrderRow.id == order_id, OrderRow.saga.in_(UNSETTLED))
            .values(attempts=OrderRow.attempts + 1, due_at=after(again_in_seconds))
        )
        return await self._session.scalar(
            statement.returning(OrderRow),
            execution_options={"synchronize_session": False, "populate_existing": True},
        )

    async def record(self, *events: tuple[str, Event]) -> None:
        """Events, each with its order's id."""
        if events:
            await self._session.execute(insert(EventRow), [event.columns(order_id) for order_id, event in events])

    async def events(self, order_id: str) -> list[EventRow]:
        rows = await self._session.scalars(select(EventRow).where(EventRow.order_id == order_id).order_by(EventRow.id))
        return list(rows)

    def _touch(self, *orders: OrderRow | None) -> None:
        touched = [order for order in orders if order is not None]
        scopes = {"all", *(str(order.user_id) for order in touched)}
        if touched:
            self._work.invalidate(entry_of(touched[0].id), namespaces=tuple(map(namespace_of, scopes)))


class Keys:
    """Idempotency-Keys: claimed with the order, answered with its outcome, forgotten when it was refused."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, user_id: int, key: str) -> KeyRow | None:
        """None for one that is older than its lifetime."""
        statement = select(KeyRow).where(
            KeyRow.user_id == user_id, KeyRow.key == key, KeyRow.created_at > func.now() - KEY_LIFETIME
        )
        return (await self._session.scalars(statement)).one_or_none()

    async def claim(self, user_id: int, key: str, *, request_hash: str, order_id: str) -> bool:
        """False if it is taken. A concurrent twin waits here until the first has committed its claim."""
        values = {"request_hash": request_hash, "order_id": order_id, "status_code": None, "body": None}
        statement = insert_or(KeyRow).values(user_id=user_id, key=key, **values)
        statement = statement.on_conflict_do_update(
            index_elements=[KeyRow.user_id, KeyRow.key],
            set_={**values, "created_at": func.now()},
            where=KeyRow.created_at <= func.now() - KEY_LIFETIME,
        )
        return await self._session.scalar(statement.returning(KeyRow.key)) is not None

    async def answer(self, user_id: int, key: str, *, order_id: str, status_code: int, body: bytes) -> bool:
        """Stores the first answer; False if there was one."""
        statement = update(KeyRow).where(*self._open(user_id, key, order_id))
        statement = statement.values(status_code=status_code, body=body)
        return await self._session.scalar(statement.returning(KeyRow.key)) is not None

    async def forget(self, user_id: int, key: str, *, order_id: str) -> None:
        """Frees a key that no answer has claimed."""
        await self._session.execute(delete(KeyRow).where(*self._open(user_id, key, order_id)))

    @staticmethod
    def _open(user_id: int, key: str, order_id: str) -> tuple[ColumnElement[bool], ...]:
        return (
            KeyRow.user_id == user_id,
            KeyRow.key == key,
            KeyRow.order_id == order_id,
            KeyRow.status_code.is_(None),
        )


async def exported(database: Database, user_id: int | None) -> AsyncIterator[OrderRow]:
    """All that one user (or everybody) can see, newest first; no connection is held while the reader reads."""
    statement: Select[OrderRow] = select(OrderRow).where(OrderRow.visible)
    if user_id is not None:
        statement = statement.where(OrderRow.user_id == user_id)
    place = (OrderRow.created_at, OrderRow.id)
    statement = statement.order_by(*(column.desc() for column in place)).limit(_EXPORT_ROWS)
    rest = statement
    while True:
        async with database.unit_of_work(read_only=True) as work:
            rows = list((await work.session.scalars(rest)).all())
        for row in rows:
            yield row
        if len(rows) < _EXPORT_ROWS:
            return
        rest = statement.where(tuple_(*place) < tuple_(rows[-1].created_at, rows[-1].id))
