"""SQL of orders and their events.

An order is only ever changed by compare-and-set: on everything that was seen (:meth:`Orders.change`), or on how far
it has got with inventory (:meth:`Orders.advance`). Both answer None when somebody else was first. What is written and
the events that tell of it are one statement, so there is never one without the other.

The statements are Core's, and each is built once: as ORM-enabled ones, made anew each time, the two of a new order
took 1.4 ms of CPU more (of 4.1 that the service spent on it).
"""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, Final, cast

import msgspec
from sqlalchemy import (
    ColumnElement,
    Executable,
    Interval,
    Select,
    Table,
    bindparam,
    case,
    column,
    func,
    insert,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from microdemo_core.db import Database, UnitOfWork
from microdemo_orders.events import Event
from microdemo_orders.machine import UNPLACED, UNSETTLED, Saga, may_step
from microdemo_orders.models import EventRow, OrderRow

__all__ = ("Orders", "entry_of", "exported", "namespace_of")

DUE: Final = timedelta(seconds=10)
"""After what time somebody else takes up what a request has begun."""
DEADLINE: Final = timedelta(seconds=30)
"""After what time an order is not placed any more."""
_EXPORT_ROWS: Final = 500

_ORDERS: Final = cast("Table", OrderRow.__table__)
_EVENTS: Final = cast("Table", EventRow.__table__)
# On the database's clock, which all replicas share; null for null.
_CLOCK: Final = {
    "due_at": func.now() + bindparam("due_in", type_=Interval),
    "deadline_at": func.now() + bindparam("deadline_in", type_=Interval),
}


def entry_of(order_id: str) -> str:
    """The cache's key of one order."""
    return f"orders:order:{order_id}"


def namespace_of(scope: str) -> str:
    """The cache's namespace of lists and statistics: of one user, or of ``all``."""
    return f"orders:of:{scope}"


class Orders:
    """Orders and their events. Every write tells the unit of work which cached answers it makes stale.

    An order is due for somebody while its saga is unsettled, and has a deadline while it is being placed.
    """

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._session: AsyncSession = work.session

    async def get(self, order_id: str) -> OrderRow | None:
        """Whatever its saga says, deleted ones too."""
        return await self._session.get(OrderRow, order_id, populate_existing=True)

    async def get_all(self, ids: Collection[str]) -> dict[str, OrderRow]:
        rows = await self._session.scalars(select(OrderRow).where(OrderRow.id.in_(ids)))
        return {row.id: row for row in rows}

    async def insert(
        self, saga: Saga, events: Sequence[Event] = (), *, is_new_id: bool = False, **values: Any
    ) -> OrderRow | None:
        """None where the id is taken. A rejected or failed order frees its id, with the next epoch.

        ``is_new_id`` is for an id that was made just now, so that nobody can have looked for it.
        """
        if saga not in UNPLACED:
            self._forget(values["id"], values["user_id"])
        elif not is_new_id:
            self._forget(values["id"])
        deadline = DEADLINE if saga == "placing" else None
        statement = _inserting(("saga", *values))
        return await self._write(statement, {"saga": saga, **values, "deadline_in": deadline}, saga, events)

    async def insert_history(self, rows: list[dict[str, Any]]) -> list[OrderRow]:
        """Those whose id was free, several at once."""
        statement = insert_or(OrderRow).on_conflict_do_nothing().returning(OrderRow)
        orders = list((await self._session.scalars(statement, rows)).all())
        for order in orders:
            self._forget(order.id, order.user_id)
        return orders

    async def change(self, seen: OrderRow, to: Saga, events: Sequence[Event] = (), **values: Any) -> OrderRow | None:
        """Unless anything that people can see has changed since, or it has got further with inventory."""
        return await self._move(seen, to, events, {"version": seen.version}, values)

    async def advance(
        self, seen: OrderRow, to: Saga, events: Sequence[Event] = (), *, only_if_alone: bool = False, **values: Any
    ) -> OrderRow | None:
        """Unless it has got further with inventory, or is at another epoch; or, if asked, others have tried too."""
        return await self._move(seen, to, events, {"attempts": 1} if only_if_alone else {}, values)

    async def _move(
        self, seen: OrderRow, to: Saga, events: Sequence[Event], expected: dict[str, Any], values: dict[str, Any]
    ) -> OrderRow | None:
        if not may_step(seen.saga, to):
            raise RuntimeError(f"{seen.saga} must not become {to}")
        expected = {"id": seen.id, "saga": seen.saga, "epoch": seen.epoch, **expected}
        if seen.saga in UNPLACED and to in UNPLACED:
            self._forget(seen.id)
        else:
            self._forget(seen.id, seen.user_id, values.get("user_id", seen.user_id))
        parameters = {**values, **{f"seen_{name}": value for name, value in expected.items()}, "saga": to}
        return await self._write(_moving(tuple(expected), ("saga", *values)), parameters, to, events)

    async def take_up(self, order_id: str) -> OrderRow | None:
        """An order that something is still to be done for, counted as one more attempt; None if it is settled.

        One that is past its deadline is given up by the same step: it leaves ``placing`` before its stock is released,
        or a late confirmation would stand without stock.
        """
        order: OrderRow | None = await self._session.scalar(_TAKE_UP, {"seen_id": order_id, "due_in": DUE})
        return order

    async def record(self, *events: tuple[str, Event]) -> None:
        """Events, each with its order's id."""
        if events:
            rows = [{"order_id": order_id, **msgspec.structs.asdict(event)} for order_id, event in events]
            await self._session.execute(insert(EventRow), rows)

    async def events(self, order_id: str) -> list[EventRow]:
        rows = await self._session.scalars(select(EventRow).where(EventRow.order_id == order_id).order_by(EventRow.id))
        return list(rows)

    async def _write(
        self, statement: Executable, parameters: dict[str, Any], saga: Saga, events: Sequence[Event]
    ) -> OrderRow | None:
        due = DUE if saga in UNSETTLED else None
        order: OrderRow | None = await self._session.scalar(
            statement,
            {**parameters, "due_in": due, "events": events},
            execution_options={"populate_existing": True},
        )
        return order

    def _forget(self, order_id: str, *owners: int) -> None:
        """Before the statement, since a deadline can strike while it runs, and it may be stored all the same."""
        scopes = {"all", *map(str, owners)} if owners else ()
        self._work.invalidate(entry_of(order_id), namespaces=tuple(map(namespace_of, scopes)))


@cache
def _inserting(names: tuple[str, ...]) -> Executable:
    fresh = insert_or(_ORDERS).values(epoch=1, **_bound(names), **_CLOCK)
    # A freed id keeps nothing of what it was before, but for the count of its reservations.
    anew = {each.name: each for each in fresh.excluded if each.name not in ("id", "visible", "epoch")}
    return _with_events(
        fresh.on_conflict_do_update(
            index_elements=[_ORDERS.c.id],
            set_={**anew, "epoch": _ORDERS.c.epoch + 1},
            where=_ORDERS.c.saga.in_(("rejected", "failed")) & _ORDERS.c.deleted_at.is_(None),
        ).returning(*_ORDERS.c)
    )


@cache
def _moving(expected: tuple[str, ...], names: tuple[str, ...]) -> Executable:
    as_seen = (_ORDERS.c[name] == bindparam(f"seen_{name}", type_=_ORDERS.c[name].type) for name in expected)
    moved = update(_ORDERS).where(*as_seen).values(due_at=_CLOCK["due_at"], **_bound(names))
    return _with_events(moved.returning(*_ORDERS.c))


def _bound(names: tuple[str, ...]) -> dict[str, ColumnElement[Any]]:
    return {name: bindparam(name, type_=_ORDERS.c[name].type) for name in names}


def _with_events(write: ReturningInsert[Any] | ReturningUpdate[Any]) -> Executable:
    """The order as it was written, if it was, and its ``events`` with it."""
    columns = [column(name, _EVENTS.c[name].type) for name in Event.__struct_fields__]
    told = func.jsonb_to_recordset(bindparam("events", type_=JSONB)).table_valued(*columns)
    told = told.render_derived(name="told", with_types=True)
    written = write.cte("written")
    lines = select(written.c.id, *told.c).select_from(written.join(told, true()))
    recorded = insert(_EVENTS).from_select(["order_id", *told.c.keys()], lines).cte("recorded")
    return select(OrderRow).from_statement(select(written).add_cte(recorded))


_TAKE_UP: Final = select(OrderRow).from_statement(
    update(_ORDERS)
    .where(_ORDERS.c.id == bindparam("seen_id"), _ORDERS.c.saga.in_(UNSETTLED))
    .values(
        attempts=_ORDERS.c.attempts + 1,
        due_at=_CLOCK["due_at"],
        saga=case(
            ((_ORDERS.c.saga == "placing") & (_ORDERS.c.deadline_at <= func.now()), "aborting"),
            else_=_ORDERS.c.saga,
        ),
        updated_at=_ORDERS.c.updated_at,  # nothing that people can see
    )
    .returning(*_ORDERS.c)
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
