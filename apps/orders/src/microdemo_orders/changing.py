"""Changing an order: its lines, status and owner, and deleting it.

What a request means is decided by :func:`plan`, which is pure, from the order as it was read; it is then written by
compare-and-set, and decided anew if somebody else was first.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from microdemo_core.auth import Principal
from microdemo_core.db import Database
from microdemo_core.problems import Invalid
from microdemo_orders import errors, events, lines
from microdemo_orders.customers import Customers
from microdemo_orders.intent import Actor, Intent
from microdemo_orders.machine import STATUS_STEPS, UNDECIDED, SettableStatus, Status, saga_after
from microdemo_orders.models import OrderRow
from microdemo_orders.money import sum_of
from microdemo_orders.repository import Orders
from microdemo_orders.schemas import Item, OrderUpdate
from microdemo_orders.settling import Settler
from microdemo_orders.stock import Line, Prices, ReservationRequest

__all__ = ("Change", "Changing", "plan")

_TRIES: Final = 3


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """``lines`` are None where they stay. Inventory keeps the prices of kept ones, and knows the others'."""

    status: SettableStatus
    user_id: int
    lines: list[Line] | None = None
    total: Decimal | None = None
    notes: list[str] = []
    created_at: datetime | None = None
    is_import: bool = False


def plan(caller: Principal, order: OrderRow, wanted: OrderUpdate) -> Change | None:
    """None where nothing changes. Raises: Invalid, AdminsOnly, and the Conflicts of the order's state."""
    if wanted.id not in (None, "", order.id):
        raise Invalid.field("id", "an order keeps its id")
    user_id = wanted.user_id or order.user_id
    status: Status = wanted.status or order.status
    stated = None if wanted.items is None else lines.merge(wanted.items)
    total = lines.stated_total(wanted.total)
    if stated is not None and lines.are_equal(stated, order.items):
        stated = None
    if total == order.total:
        total = None
    if total is not None and stated is None:
        raise errors.PriceMismatch.of_total(stated=total, actual=order.total)
    if (user_id, status, stated) == (order.user_id, order.status, None):
        return None
    _require_right(caller, order, user_id, status)
    if status == "rejected" or (status != order.status and status not in STATUS_STEPS[order.status]):
        raise errors.IllegalTransition(order.status, status)
    if stated is not None and order.status != "pending":
        raise errors.LinesAreFixed(order.status)
    notes = [] if stated is None else lines.repriced(stated, order.items)
    return Change(status=status, user_id=user_id, lines=stated, total=total, notes=notes)


def _require_right(caller: Principal, order: OrderRow, user_id: int, status: Status) -> None:
    if order.status == "rejected":
        raise errors.OrderRejected(order.reason)
    if user_id != order.user_id and not caller.is_admin:
        raise errors.AdminsOnly("Only an admin may hand an order to somebody else.")
    if status not in (order.status, "cancelled") and not caller.is_admin:
        raise errors.AdminsOnly(f"Only an admin may make an order {status}; its owner may cancel it.")


class Changing:
    def __init__(self, database: Database, settler: Settler, customers: Customers) -> None:
        self._database = database
        self._settler = settler
        self._customers = customers

    async def update(self, caller: Principal, order_id: str, wanted: OrderUpdate) -> OrderRow:
        """The order as it is then; still asking inventory if nobody knows yet. Raises: Problem."""
        for _ in range(_TRIES):
            order = await self._decided(caller, order_id)
            change = plan(caller, order, wanted)
            if change is None:
                return order
            if change.status == "pending" and order.saga == "releasing":
                # Stock that is still to be given back must not be asked for again.
                if (await self._settler.settle_quietly(order)).saga == "releasing":
                    raise errors.StillSettling
                continue
            if change.user_id != order.user_id:
                await self._customers.require_active(caller, change.user_id)
            changed = await self.apply(
                order, change, Actor.of(caller), prices="as_stated" if caller.is_admin else "must_agree"
            )
            if changed is not None:
                return changed
        raise errors.ChangedMeanwhile

    async def delete(self, caller: Principal, order_id: str) -> None:
        """Gives back what pending and processing orders hold; what is sold stays sold. Raises: Problem."""
        for _ in range(_TRIES):
            order = await self._decided(caller, order_id)
            if order.status == "rejected":
                raise errors.OrderRejected(order.reason)
            async with self._database.single_statement() as work:
                deleted = await Orders(work).change(
                    order,
                    "releasing" if order.saga == "held" else order.saga,
                    [events.deleted(order.status, Actor.of(caller))],
                    deleted_at=datetime.now(UTC),
                    version=order.version + 1,
                )
            if deleted is not None:
                await self._settler.tell(deleted)
                return
        raise errors.ChangedMeanwhile

    async def _decided(self, caller: Principal, order_id: str) -> OrderRow:
        """What the caller may change, as it stands: no decision is made on lines that inventory may still refuse.

        Raises: NoSuchOrder, NotYourOrder, StillSettling.
        """
        async with self._database.unit_of_work(read_only=True) as work:
            order = await Orders(work).get(order_id)
        if order is not None and caller.may_act_for(order.user_id) and order.saga in UNDECIDED:
            order = await self._settler.settle_quietly(order)
        if order is None or order.deleted_at is not None:
            raise errors.NoSuchOrder
        if not caller.may_act_for(order.user_id):
            raise errors.NotYourOrder
        if order.saga in UNDECIDED:
            raise errors.StillSettling
        return order

    async def apply(self, order: OrderRow, change: Change, actor: Actor, *, prices: Prices) -> OrderRow | None:
        """A change that was found legal. None if somebody else was first. Raises: Problem, as inventory says it."""
        again = order.status == "cancelled" and change.status == "pending"
        if again or (change.lines is not None and order.saga == "held"):
            kept = [Line(item.sku, item.quantity, item.price) for item in order.items]
            request = ReservationRequest(
                lines=change.lines or kept,
                prices="as_stated" if again else prices,
                total=change.total,
                replaces=order.held_epoch,
            )
            return await self._ask(order, change, request, actor)
        return await self._decide(order, change, actor)

    async def _ask(self, order: OrderRow, change: Change, request: ReservationRequest, actor: Actor) -> OrderRow | None:
        intent = Intent(
            request=request,
            status=change.status,
            user_id=change.user_id,
            actor=actor,
            notes=change.notes,
            created_at=change.created_at,
            is_import=change.is_import,
        )
        async with self._database.single_statement() as work:
            asking = await Orders(work).change(
                order,
                "editing" if order.saga == "held" else "reactivating",
                epoch=order.epoch + 1,
                intent=intent,
                refusals=None,
                attempts=1,
            )
        if asking is None:
            return None
        settled = await self._settler.begin(asking)
        if settled.epoch != asking.epoch:
            # The next change is under way already, and what became of this one cannot be told any more.
            raise errors.ChangedMeanwhile
        if settled.refusals:
            raise errors.refusal(settled.refusals)
        return settled

    async def _decide(self, order: OrderRow, change: Change, actor: Actor) -> OrderRow | None:
        saga = order.saga if change.status == order.status else saga_after(order.saga, change.status)
        items, total = order.items, order.total
        if change.lines is not None:
            items = [Item(line.sku, line.quantity, line.price) for line in change.lines]
            total = sum_of(items)
        contents = events.Contents(status=change.status, user_id=change.user_id, items=items, total=total)
        found = events.differences(order, contents, actor)
        if change.is_import:
            found.append(events.imported(change.status, actor, is_new=False))
        async with self._database.single_statement() as work:
            decided = await Orders(work).change(
                order,
                saga,
                found,
                **msgspec.structs.asdict(contents),
                version=order.version + 1,
                created_at=change.created_at or order.created_at,
            )
        return None if decided is None else await self._settler.tell(decided)
