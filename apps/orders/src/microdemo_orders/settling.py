"""The one driver of an order through inventory, used by the request that wrote the intent and by whoever follows.

It reads what is to be done from the row, says it to inventory, and writes what came of it together with the event,
by compare-and-set: several drivers of one order do no harm. No database connection is held while inventory is asked.
"""

from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError

from microdemo_core.clients import PeerFailed, PeerProblem
from microdemo_core.db import Database, UnitOfWork
from microdemo_core.deadline import DeadlineExceeded, deadline
from microdemo_core.problems import Unavailable
from microdemo_orders import events
from microdemo_orders.errors import NoSuchOrder, refusal
from microdemo_orders.intent import Intent
from microdemo_orders.keys import Keys
from microdemo_orders.machine import ASKING, UNDECIDED, UNSETTLED, Saga, landing
from microdemo_orders.models import OrderRow
from microdemo_orders.money import sum_of
from microdemo_orders.repository import Orders
from microdemo_orders.schemas import Item
from microdemo_orders.stock import Refusal, Reservation, Stock

__all__ = ("DATABASE_AWAY", "Settler", "raise_if_refused")

_log = structlog.get_logger("microdemo.orders")

_RELEASE_SECONDS: Final = 1.0
_NO_ANSWER: Final = "Inventory did not answer in time; nothing was taken. Please order again."
DATABASE_AWAY: Final = (SQLAlchemyError, OSError)
"""What a database that is away, or has no connection to spare, raises."""
# Where an order goes back to when inventory refuses, or was never asked.
_BACK: Final[dict[Saga, Saga]] = {"placing": "rejected", "editing": "held", "reactivating": "released"}
# Columns of an order that nobody has to look after.
_AT_REST: Final[dict[str, Any]] = {"intent": None, "refusals": None, "deadline_at": None, "attempts": 0}


class Settler:
    def __init__(self, database: Database, stock: Stock) -> None:
        self._database = database
        self._stock = stock

    async def settle(self, order_id: str) -> OrderRow | None:
        """Finishes what somebody else has begun; None if there is no such order.

        Raises: PeerProblem, DeadlineExceeded, with the order as far as it has got.
        """
        async with self._database.single_statement() as work:
            order = await Orders(work).take_up(order_id)
        if order is None:
            return await self._read(order_id)
        return await self._drive(order, UNSETTLED)

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
                begun = await self._drive(order, UNDECIDED)
            except PeerProblem as error:
                if not error.maybe_executed and await self._withdraw(order, error):
                    raise
                return await self._read(order.id) or order
        except DATABASE_AWAY as error:
            # The intent is stored and will be carried out, so this request must not say that it failed.
            _log.warning("left for later", order_id=order.id, saga=order.saga, error=type(error).__name__)
            return order
        return await self.tell(begun)

    async def tell(self, order: OrderRow) -> OrderRow:
        """Releases or sells at once if inventory answers at once; it cannot refuse, so nobody has to wait."""
        if order.saga not in ("releasing", "selling"):
            return order
        try:
            return await self._step(order)
        except (PeerProblem, DeadlineExceeded, *DATABASE_AWAY) as error:
            _log.info("left for later", order_id=order.id, saga=order.saga, error=type(error).__name__)
            return order

    async def _drive(self, order: OrderRow, sagas: Collection[Saga]) -> OrderRow:
        """Step by step, while it is about the same epoch.

        Behind the next one stands a request that takes itself for alone, since we have not taken it up: it would
        withdraw what we had just reserved, and nobody would give that back.
        """
        epoch = order.epoch
        while order.saga in sagas and order.epoch == epoch:
            order = await self._step(order)
        return order

    async def _step(self, order: OrderRow) -> OrderRow:
        match order.saga:
            case "placing" | "editing" | "reactivating":
                return await self._ask(order)
            case "aborting":
                await self._stock.release(order.id, order.epoch, acting_for=order.user_id)
                return await self._or_others(order, await self._end(order, "failed", reason=_NO_ANSWER))
            case "selling":
                await self._told(order, self._stock.sell)
                return await self._advance(order, "sold", attempts=0)
            case "releasing":
                await self._told(order, self._stock.release)
                return await self._advance(order, "released", attempts=0, held_epoch=None)
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
                return await self._or_others(order, await self._land(order, intent, reservation))
            case "refused":
                reason = str(refusal(reservation.refusals).detail)
                refused = await self._end(order, _BACK[order.saga], reason=reason, refusals=reservation.refusals)
                return await self._or_others(order, refused)
            case "released" if order.saga == "placing":
                return await self._advance(order, "aborting")
        raise PeerFailed("inventory")

    async def _land(self, order: OrderRow, intent: Intent, reservation: Reservation) -> OrderRow | None:
        """With the stock it asked for. None if others were first."""
        items = [Item(line.sku, line.quantity, line.price) for line in reservation.lines]
        contents = events.Contents(status=intent.status, user_id=intent.user_id, items=items, total=sum_of(items))
        async with self._transaction(order) as work:
            landed = await Orders(work).advance(
                order,
                landing(intent.status),
                _happened(order, contents, intent),
                **msgspec.structs.asdict(contents),
                **_AT_REST,
                created_at=intent.created_at or order.created_at,
                version=order.version + 1,
                held_epoch=order.epoch,
            )
            if landed is not None and intent.key:
                await Keys(work.session).answer(
                    intent.actor.user_id,
                    intent.key,
                    order_id=landed.id,
                    status_code=201,
                    body=msgspec.json.encode(landed.shown()),
                )
        return landed

    async def _end(
        self,
        order: OrderRow,
        to: Saga,
        *,
        reason: str,
        refusals: list[Refusal] | None = None,
        only_if_alone: bool = False,
    ) -> OrderRow | None:
        """Without the stock it asked for, and its Idempotency-Key is free again. None if others were first."""
        values: dict[str, Any] = {**_AT_REST, "refusals": refusals}
        if to in ("rejected", "failed"):
            values |= {"status": "rejected", "reason": reason}
        key = _intent_of(order).key
        async with self._transaction(order) as work:
            ended = await Orders(work).advance(order, to, only_if_alone=only_if_alone, **values)
            if ended is not None and key:
                await Keys(work.session).forget(_intent_of(order).actor.user_id, key, order_id=order.id)
        return ended

    async def _withdraw(self, order: OrderRow, error: PeerProblem) -> bool:
        """Back to where it was before inventory was asked; False if anybody else has tried too."""
        if order.saga not in ASKING:
            return False
        back: Saga = "failed" if order.saga == "placing" else _BACK[order.saga]
        return await self._end(order, back, reason=str(error.detail), only_if_alone=True) is not None

    async def _advance(self, order: OrderRow, to: Saga, **values: Any) -> OrderRow:
        async with self._database.single_statement() as work:
            advanced = await Orders(work).advance(order, to, **values)
        return await self._or_others(order, advanced)

    def _transaction(self, order: OrderRow) -> AbstractAsyncContextManager[UnitOfWork]:
        """Without an Idempotency-Key it is one statement."""
        has_key = _intent_of(order).key is not None
        return self._database.unit_of_work() if has_key else self._database.single_statement()

    async def _or_others(self, order: OrderRow, written: OrderRow | None) -> OrderRow:
        """What was written; what the others have made of the order if they were first."""
        now = written or await self._read(order.id)
        if now is None:
            raise NoSuchOrder
        return now

    async def _read(self, order_id: str) -> OrderRow | None:
        async with self._database.unit_of_work(read_only=True) as work:
            return await Orders(work).get(order_id)


def raise_if_refused(order: OrderRow) -> None:
    """Raises: Problem, if the order was refused, or given up because inventory did not answer."""
    if order.saga == "rejected":
        raise refusal(order.refusals or [])
    if order.saga == "failed":
        raise Unavailable(order.reason or "")


def _intent_of(order: OrderRow) -> Intent:
    if order.intent is None:
        raise RuntimeError(f"order {order.id} is {order.saga} without an intent")
    return order.intent


def _happened(before: OrderRow, after: events.Contents, intent: Intent) -> list[events.Event]:
    is_new = before.saga == "placing"
    if is_new and not intent.is_import:
        return [events.created(after, intent.actor, intent.notes)]
    found = [] if is_new else events.differences(before, after, intent.actor, intent.notes)
    if intent.is_import:
        found.append(events.imported(after.status, intent.actor, is_new=is_new))
    return found
