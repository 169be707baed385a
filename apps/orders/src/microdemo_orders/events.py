"""Lines of the audit trail: what happened, in the past tense, with old and new value."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from microdemo_orders.intent import Actor
from microdemo_orders.machine import Status
from microdemo_orders.schemas import Item

__all__ = ("Contents", "Event", "created", "deleted", "differences", "imported")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of ``order_events`` by their names, but for the order's id and the time."""

    event_type: str
    description: str
    user_id: int
    correlation_id: str | None
    old_value: str | None = None
    new_value: str | None = None


class _Visible(Protocol):
    @property
    def status(self) -> Status: ...
    @property
    def user_id(self) -> int: ...
    @property
    def items(self) -> list[Item]: ...
    @property
    def total(self) -> Decimal: ...


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What an order is about to be: events are worded before it is, to be written in one statement with it."""

    status: Status
    user_id: int
    items: list[Item]
    total: Decimal


def created(order: _Visible, actor: Actor, notes: Sequence[str] = ()) -> Event:
    count = len(order.items)
    sentence = f"Order created: {count} line{'s' if count > 1 else ''}, {order.total} in all{_noted(notes)}."
    return _event(actor, "order_created", sentence, new=order.status)


def imported(status: Status, actor: Actor, *, is_new: bool) -> Event:
    sentence = "Order imported." if is_new else "Order changed by an import."
    return _event(actor, "order_imported", sentence, new=status)


def deleted(status: Status, actor: Actor) -> Event:
    return _event(actor, "order_deleted", "Order deleted.", old=status)


def differences(before: _Visible, after: _Visible, actor: Actor, notes: Sequence[str] = ()) -> list[Event]:
    """One event for each thing that people can see to have changed."""
    found = []
    if before.items != after.items:
        sentence = f"Lines changed: {before.total} became {after.total}{_noted(notes)}."
        found.append(_event(actor, "items_changed", sentence, old=_text(before.items), new=_text(after.items)))
    if before.status != after.status:
        sentence = f"Status changed from {before.status} to {after.status}."
        found.append(_event(actor, "status_changed", sentence, old=before.status, new=after.status))
    if before.user_id != after.user_id:
        sentence = f"Order handed over from user {before.user_id} to user {after.user_id}."
        found.append(_event(actor, "owner_changed", sentence, old=str(before.user_id), new=str(after.user_id)))
    return found


def _event(actor: Actor, event_type: str, description: str, *, old: str | None = None, new: str | None = None) -> Event:
    return Event(
        event_type=event_type,
        description=description,
        user_id=actor.user_id,
        correlation_id=actor.correlation_id,
        old_value=old,
        new_value=new,
    )


def _noted(notes: Sequence[str]) -> str:
    return f" ({'; '.join(notes)})" if notes else ""


def _text(items: list[Item]) -> str:
    return msgspec.json.encode(items).decode()
