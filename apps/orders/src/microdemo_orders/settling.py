"""The one driver of an order through inventory, used by the request that wrote the intent and by whoever follows.

It reads what is to be done from the row, says it to inventory, and writes what came of it together with the event,
by compare-and-set: several drivers of one order do no harm. No database connection is held while inventory is asked.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import ColumnElement
from sqlalchemy.exc import SQLAlchemyError

from microdemo_core.clients import PeerFailed, PeerProblem
from microdemo_core.db import Database, UnitOfWork
from microdemo_core.deadline import DeadlineExceeded, deadline
from microdemo_orders import events
from microdemo_orders.errors import refusal
from microdemo_orders.intent import Intent
from microdemo_orders.machine import ASKING, UNDECIDED, UNSETTLED, Saga, landing
from microdemo_orders.models import OrderRow
from microdemo_orders.money import sum_of
from microdemo_orders.repository import Keys, Orders, after
from microdemo_orders.schemas import Item
from microdemo_orders.stock import Reservation, Stock

__all__ = ("DATABASE_AWAY", "DEADLINE_SECONDS", "DUE_SECONDS", "Settler")

_log = structlog.get_logger("microdemo.orders")

DUE_SECONDS: Final = 10.0
"""After what time somebody else takes up what a request has begun."""
DEADLINE_SECONDS: Final = 30.0
"""After what time an order is not placed any more."""
_RELEASE_SECONDS: Final = 1.0
_NO_ANSWER: Final = "Inventory did not answer in time; nothing was taken. Please order again."
DATABASE_AWAY: Final = (SQLAlchemyError, OSError)
"""What a database that is away, or has no connection to spare, raises."""
# Where an order goes back to when inventory refuses, or was never asked.
_BACK: Final[dict[Saga, Saga]] = {"placing": "rejected", "editing": "held", "reactivating": "released"}


class Settler:
    def __init__(self, database: Database, stock: Stock) -> None:
        self._database = database
        self._stock = stock

    async def settle(self, order_id: str) -> OrderRow | None:
        """Finishes what somebody else has begun; None if there is no such order.

        Raises: PeerProblem, with the order as far as it has got.
        """
        async with self._database.unit_of_work() as work:
            order = await Orders(work).take_up(order_id, again_in_seconds=DUE_SECONDS)
        if order is None:
            return await self._read(order_id)
        while order.saga in UNSETTLED:
            order = await self._step(order)
        return order

    async def settle_quietly(self, order: OrderRow) -> OrderRow:
        """As far as it gets now."""
        try:
            return await self.settle(order.id) or order
        except (PeerProblem, DeadlineExceeded):
            return await self._read(order.id) or order

    async def begin(self, order: OrderRow) -> OrderRow:
        """The first try, by the request that wrote the intent: decided, or as it was if nobody knows.

        Raises: PeerProblem, if inventory was certainly not reached; then it is as if nothing had been asked.
        """
        try:
            try:
                while order.saga in UNDECIDED:
                    order = await self._step(order)
            except PeerProblem as error:
                if not error.maybe_executed and await self._withdraw(order, error):
                    raise
                return await self._read(order.id) or order
        except DATABASE_AWAY as error:
            # The intent is stored and will be carried out, so this request must not say that it failed.
            _log.warning("left for later", order_id=order.id, saga=order.saga, error=type(error).__name__)
            return order
        return await self.tell(order)

    async def tell(self, order: OrderRow) -> OrderRow:
        """Releases or sells at once if inventory answers at once; it cannot refuse, so nobody has to wait."""
        if order.saga not in ("releasing", "selling"):
            return order
        try:
            return await self._step(order)
        except (PeerProblem, DeadlineExceeded, *DATABASE_AWAY) as error:
            _log.info("left for later", order_id=order.id, saga=order.saga, error=type(error).__name__)
            return order

    async def _step(self, order: OrderRow) -> OrderRow:
        match order.saga:
            case "placing" if order.deadline_at is not None and order.deadline_at <= datetime.now(UTC):
                # First by compare-and-set, then the release: the other way round, a late confirm would stand
                # without stock.
                return await self._advance(order, "aborting")
            case "placing" | "editing" | "reactivating":
                return await self._ask(order)
            case "aborting":
                await self._stock.release(order.id, order.epoch, acting_for=order.user_id)
                return await self._give_up(order, _NO_ANSWER)
            case "selling":
                await self._told(order, self._stock.sell)
                return await self._advance(order, "sold", due_at=None, attempts=0)
            case "releasing":
                await self._told(order, self._stock.release)
                return await self._advance(order, "released", due_at=None, attempts=0, held_epoch=None)
        raise RuntimeError(f"nothing is to be said about an order that is {order.saga}")

    async def _told(self, order: OrderRow, say: Callable[..., Awaitable[None]]) -> None:
        if order.held_epoch is not None:
            async with deadline(_RELEASE_SECONDS):
                await say(order.id, order.held_epoch, acting_for=order.user_id)

    async def _ask(self, order: OrderRow) -> OrderRow:
        intent = _intent_of(order)
        reservation = await self._stock.reserve(order.id, order.epoch, intent.request, acting_for=intent.actor.user_id)
        match reservation.state:
            case "held" | "sold":
                return await self._land(order, intent, reservation)
            case "refused":
                return await self._refuse(order, reservation)
            case "released" if order.saga == "placing":
                return await self._advance(order, "aborting")
        raise PeerFailed("inventory")

    async def _land(self, order: OrderRow, intent: Intent, reservation: Reservation) -> OrderRow:
        saga = landing(intent.status)
        items = [Item(line.sku, line.quantity, line.price) for line in reservation.lines]

        async def write(work: UnitOfWork) -> OrderRow | None:
            orders = Orders(work)
            landed = await orders.advance(
                order,
                saga,
                status=intent.status,
                user_id=intent.user_id,
                items=items,
                total=sum_of(items),
                version=OrderRow.version + 1,
                held_epoch=order.epoch,
                **_AT_REST,
                due_at=after(DUE_SECONDS) if saga in UNSETTLED else None,
            )
            if landed is None:
                return None
            await orders.record(*((landed.id, event) for event in _happened(order, landed, intent)))
            if intent.key and order.saga == "placing":
                await Keys(work.session).answer(
                    intent.actor.user_id,
                    intent.key,
                    order_id=landed.id,
                    status_code=201,
                    body=msgspec.json.encode(landed.shown()),
                )
            return landed

        return await self._written(order, write)

    async def _refuse(self, order: OrderRow, reservation: Reservation) -> OrderRow:
        async def write(work: UnitOfWork) -> OrderRow | None:
            values: dict[str, Any] = {**_AT_REST, "refusals": reservation.refusals, "due_at": None}
            if order.saga == "placing":
                values |= {"status": "rejected", "reason": str(refusal(reservation.refusals).detail)}
            refused = await Orders(work).advance(order, _BACK[order.saga], **values)
            await _forget_key(work, order, refused)
            return refused

        return await self._written(order, write)

    async def _give_up(self, order: OrderRow, reason: str) -> OrderRow:
        return await self._written(order, lambda work: _fail(work, order, reason))

    async def _withdraw(self, order: OrderRow, error: PeerProblem) -> bool:
        """Back to where it was before inventory was asked; False if anybody else has tried too."""
        alone = OrderRow.attempts == 1
        async with self._database.unit_of_work() as work:
            if order.saga == "placing":
                return await _fail(work, order, str(error.detail), only_if=alone) is not None
            if order.saga in ASKING:
                back = _BACK[order.saga]
                return await Orders(work).advance(order, back, only_if=alone, **_AT_REST, due_at=None) is not None
        return False

    async def _advance(self, order: OrderRow, to: Saga, **values: Any) -> OrderRow:
        return await self._written(order, lambda work: Orders(work).advance(order, to, **values))

    async def _written(self, order: OrderRow, write: Callable[[UnitOfWork], Awaitable[OrderRow | None]]) -> OrderRow:
        """What was written; what the others have made of the order if they were first."""
        async with self._database.unit_of_work() as work:
            written = await write(work)
        return written or await self._read(order.id) or order

    async def _read(self, order_id: str) -> OrderRow | None:
        async with self._database.unit_of_work(read_only=True) as work:
            return await Orders(work).get(order_id)


# Columns of an order that nobody has to look after.
_AT_REST: Final[dict[str, Any]] = {"intent": None, "refusals": None, "deadline_at": None, "attempts": 0}


def _intent_of(order: OrderRow) -> Intent:
    if order.intent is None:
        raise RuntimeError(f"order {order.id} is {order.saga} without an intent")
    return order.intent


def _happened(before: OrderRow, landed: OrderRow, intent: Intent) -> list[events.Event]:
    is_new = before.saga == "placing"
    if is_new and not intent.is_import:
        return [events.created(landed, intent.actor, intent.notes)]
    found = [] if is_new else events.differences(before, landed, intent.actor, intent.notes)
    if intent.is_import:
        found.append(events.imported(landed.status, intent.actor, is_new=is_new))
    return found


async def _fail(
    work: UnitOfWork, order: OrderRow, reason: str, *, only_if: ColumnElement[bool] | None = None
) -> OrderRow | None:
    values = {**_AT_REST, "status": "rejected", "reason": reason, "due_at": None}
    failed = await Orders(work).advance(order, "failed", only_if=only_if, **values)
    await _forget_key(work, order, failed)
    return failed


async def _forget_key(work: UnitOfWork, order: OrderRow, outcome: OrderRow | None) -> None:
    """Frees the Idempotency-Key of an order that this unit of work has just refused."""
    if outcome is not None and order.intent is not None and order.intent.key:
        await Keys(work.session).forget(order.intent.actor.user_id, order.intent.key, order_id=order.id)
