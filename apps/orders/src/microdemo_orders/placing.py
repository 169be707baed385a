"""Creating an order: who may, what was asked before, the intent, and the answer to it.

asked before? ─ yes ─► the same answer (201, 202), 409, 422
     │ no
users: active? ─► intent, one transaction ─► inventory ─► order and event, one transaction ─► 201, 409, 422
                                                 └─ nobody knows ─► 202          └─ not reached ─► 503
"""

import hashlib
import uuid
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

import msgspec

from microdemo_core.auth import Principal
from microdemo_core.db import Database, UnitOfWork
from microdemo_core.problems import Invalid
from microdemo_orders import errors, events, lines
from microdemo_orders.customers import Customers
from microdemo_orders.gate import Gate
from microdemo_orders.intent import Actor, Intent
from microdemo_orders.keys import Keys
from microdemo_orders.machine import UNDECIDED, UNPLACED, Saga, SettableStatus, takes_stock
from microdemo_orders.models import OrderRow
from microdemo_orders.money import sum_of
from microdemo_orders.repository import Orders
from microdemo_orders.schemas import Item, OrderCreate
from microdemo_orders.settling import DATABASE_AWAY, Settler, raise_if_refused
from microdemo_orders.stock import Refusal, ReservationRequest, Stock

__all__ = ("Answer", "Placing")

RESERVED_IDS: Final = frozenset(
    {"analytics", "events", "export", "import", "webhooks", "schema", "healthz", "readyz", "metrics", "version"}
)
CREATED: Final = 201
ACCEPTED: Final = 202


class Answer(msgspec.Struct, frozen=True):
    """``body`` is an encoded order; ``is_replay`` where the request was answered before."""

    status_code: int
    order_id: str
    body: bytes
    is_replay: bool = False


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A request, understood. ``request_hash`` knows it, and its caller, again."""

    order_id: str | None
    user_id: int
    status: SettableStatus
    request: ReservationRequest
    request_hash: str
    key: str | None


class _Twin(Exception):  # noqa: N818 - a condition, not an error
    """The key or the id was claimed while we looked the other way."""


class Placing:
    def __init__(self, database: Database, settler: Settler, customers: Customers, stock: Stock, gate: Gate) -> None:
        self._gate = gate
        self._database = database
        self._settler = settler
        self._customers = customers
        self._stock = stock

    async def place(self, caller: Principal, order: OrderCreate, key: str | None) -> Answer:
        """Answers 201 or 202. Raises: Problem; the id and the key may then be used again."""
        wanted = _understand(caller, order, key)
        async with self._gate.passed():
            return await self._place(caller, wanted)

    async def _place(self, caller: Principal, wanted: _Wanted) -> Answer:
        if earlier := await self._earlier(caller, wanted):
            return earlier
        await self._customers.require_active(caller, wanted.user_id)
        try:
            if takes_stock(wanted.status):
                notes = await self._differences(wanted.request, acting_for=caller.user_id)
                placed = await self._write_intent(wanted, Actor.of(caller), notes)
            else:
                return await self._write_cancelled(wanted, Actor.of(caller))
        except _Twin:
            earlier = await self._earlier(caller, wanted)
            if earlier is None:
                raise errors.StillSettling from None
            return earlier
        settled = await self._settler.begin(placed)
        return await self._answer(settled, wanted, caller)

    async def _earlier(self, caller: Principal, wanted: _Wanted) -> Answer | None:
        """What the same request was answered, or would be, by its key or its id. Raises: KeyReused, AlreadyExists."""
        if wanted.key is None and wanted.order_id is None:
            return None
        async with self._database.unit_of_work(read_only=True) as work:
            claim = await Keys(work.session).find(caller.user_id, wanted.key) if wanted.key else None
            order_id = claim.order_id if claim else wanted.order_id
            order = await Orders(work).get(order_id) if order_id else None
        if claim is not None:
            if claim.request_hash != wanted.request_hash:
                raise errors.KeyReused
            if claim.status_code is not None and claim.body is not None:
                return Answer(claim.status_code, claim.order_id, claim.body, is_replay=True)
        if order is None or (order.saga in ("rejected", "failed") and claim is None):
            return None
        is_unchanged = order.version <= 1 and order.deleted_at is None
        if claim is None and not (is_unchanged and order.request_hash == wanted.request_hash):
            raise errors.AlreadyExists(order.id)
        settled = await self._settler.settle_quietly(order) if order.saga in UNDECIDED else order
        return await self._answer(settled, wanted, caller, is_replay=True)

    async def _differences(self, request: ReservationRequest, *, acting_for: int) -> list[str]:
        """Where an admin's prices are not the catalogue's."""
        stated = {line.sku: line.price for line in request.lines if line.price is not None}
        if request.prices == "must_agree" or not stated:
            return []
        catalogue = await self._stock.prices(list(stated), acting_for=acting_for)
        return [
            f"{sku} at {price} instead of {'no price' if usual is None else usual}"
            for sku, price in stated.items()
            if (usual := catalogue.get(sku)) != price
        ]

    async def _write_intent(self, wanted: _Wanted, actor: Actor, notes: list[str]) -> OrderRow:
        request = wanted.request
        intent = Intent(
            request=request,
            status=wanted.status,
            user_id=wanted.user_id,
            actor=actor,
            notes=notes,
            key=wanted.key,
        )
        # Without a key it is one statement.
        begin = self._database.unit_of_work if wanted.key else self._database.single_statement
        async with begin() as work:
            order_id = await self._claim(work, wanted, actor)
            return await _inserted(
                work,
                "placing",
                is_new_id=wanted.order_id is None,
                id=order_id,
                user_id=wanted.user_id,
                status="pending",
                items=[Item(line.sku, line.quantity, line.price) for line in request.lines],
                total=sum_of(request.lines),
                intent=intent,
                request_hash=wanted.request_hash,
                attempts=1,
            )

    async def _write_cancelled(self, wanted: _Wanted, actor: Actor) -> Answer:
        """Takes no stock, so there is nothing to settle; its prices are still the catalogue's."""
        request = wanted.request
        catalogue = await self._stock.prices([line.sku for line in request.lines], acting_for=actor.user_id)
        items = _priced(request, catalogue)
        contents = events.Contents(status=wanted.status, user_id=wanted.user_id, items=items, total=sum_of(items))
        async with self._database.unit_of_work() as work:
            order = await _inserted(
                work,
                "none",
                [events.created(contents, actor)],
                id=await self._claim(work, wanted, actor),
                **msgspec.structs.asdict(contents),
                request_hash=wanted.request_hash,
                version=1,
            )
            body = msgspec.json.encode(order.shown())
            if wanted.key:
                await Keys(work.session).answer(
                    actor.user_id, wanted.key, order_id=order.id, status_code=CREATED, body=body
                )
        return Answer(CREATED, order.id, body)

    async def _claim(self, work: UnitOfWork, wanted: _Wanted, actor: Actor) -> str:
        """The order's id, a new one if the client has none, with the caller's key on it. Raises: _Twin."""
        order_id = wanted.order_id or str(uuid.uuid4())
        if wanted.key and not await Keys(work.session).claim(
            actor.user_id, wanted.key, request_hash=wanted.request_hash, order_id=order_id
        ):
            raise _Twin
        return order_id

    async def _answer(self, order: OrderRow, wanted: _Wanted, caller: Principal, *, is_replay: bool = False) -> Answer:
        """Raises: Problem, if the order has been refused."""
        if order.request_hash != wanted.request_hash:
            # Ours was refused, and the id went to somebody else.
            raise errors.AlreadyExists(order.id)
        raise_if_refused(order)
        body = msgspec.json.encode(order.shown())
        if order.saga not in UNPLACED:
            return Answer(CREATED, order.id, body, is_replay)
        if wanted.key:
            return await self._store_accepted(order, wanted.key, caller, body)
        return Answer(ACCEPTED, order.id, body, is_replay)

    async def _store_accepted(self, order: OrderRow, key: str, caller: Principal, body: bytes) -> Answer:
        """202 is the first answer from now on, unless the order was settled at this very moment."""
        claim = None
        # If it cannot be stored, the order will be placed all the same, and its 201 becomes the key's answer.
        with suppress(*DATABASE_AWAY):
            async with self._database.unit_of_work() as work:
                await Keys(work.session).answer(caller.user_id, key, order_id=order.id, status_code=ACCEPTED, body=body)
                claim = await Keys(work.session).find(caller.user_id, key)
        if claim is None or claim.status_code is None or claim.body is None:
            return Answer(ACCEPTED, order.id, body)
        return Answer(claim.status_code, order.id, claim.body)


def _understand(caller: Principal, order: OrderCreate, key: str | None) -> _Wanted:
    """Raises: Invalid for what is wrong, AdminsOnly for what is not the caller's to ask."""
    if order.id in RESERVED_IDS:
        raise Invalid.field("id", f"{order.id!r} has another meaning here; use another id")
    merged, total = lines.merge(order.items), lines.stated_total(order.total)
    user_id, status = order.user_id or caller.user_id, order.status or "pending"
    if not caller.is_admin and user_id != caller.user_id:
        raise errors.AdminsOnly("Only an admin may order for somebody else.")
    if not caller.is_admin and status != "pending":
        raise errors.AdminsOnly("Only an admin may create an order that is not pending.")
    request = ReservationRequest(lines=merged, prices="as_stated" if caller.is_admin else "must_agree", total=total)
    said = msgspec.json.encode((caller.user_id, order.id, user_id, status, request))
    return _Wanted(
        order_id=order.id,
        user_id=user_id,
        status=status,
        request=request,
        request_hash=hashlib.sha256(said).hexdigest(),
        key=key,
    )


def _priced(request: ReservationRequest, catalogue: dict[str, Decimal | None]) -> list[Item]:
    """What a reservation would have answered. Raises: Problem, as for a refused one."""
    items = [
        Item(line.sku, line.quantity, catalogue.get(line.sku) if line.price is None else line.price)
        for line in request.lines
    ]
    wrong = [Refusal(sku=line.sku, reason="unknown") for line in request.lines if line.sku not in catalogue]
    wrong += [Refusal(sku=item.sku, reason="unpriced") for item in items if item.price is None]
    if not wrong and request.total is not None and request.total != sum_of(items):
        wrong = [Refusal(reason="total", stated=request.total, actual=sum_of(items))]
    if wrong:
        raise errors.refusal(wrong)
    return items


async def _inserted(work: UnitOfWork, saga: Saga, told: Sequence[events.Event] = (), **values: Any) -> OrderRow:
    """Raises: _Twin, so that the key is not claimed either."""
    order = await Orders(work).insert(saga, told, **values)
    if order is None:
        raise _Twin
    return order
