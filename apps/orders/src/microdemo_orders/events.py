"""Lines of the audit trail: what happened, in the past tense, with old and new value."""

from collections.abc import Sequence
from typing import Any

import msgspec

from microdemo_orders.intent import Actor
from microdemo_orders.machine import Status
from microdemo_orders.models import OrderRow
from microdemo_orders.schemas import Item

__all__ = ("Event", "created", "deleted", "differences", "imported")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    event_type: str
    description: str
    actor: Actor
    old_value: str | None = None
    new_value: str | None = None

    def columns(self, order_id: str) -> dict[str, Any]:
        return {
            "order_id": order_id,
            "event_type": self.event_type,
            "description": self.description,
            "old_value": self.old_value,
            "new_value": self.new_value,
            "user_id": self.actor.user_id,
            "correlation_id": self.actor.correlation_id,
        }


def created(order: OrderRow, actor: Actor, notes: Sequence[str] = ()) -> Event:
    count = len(order.items)
    sentence = f"Order created: {count} line{'s' if count > 1 else ''}, {order.total} in all{_noted(notes)}."
    return Event(event_type="order_created", description=sentence, actor=actor, new_value=order.status)


def imported(status: Status, actor: Actor, *, is_new: bool) -> Event:
    sentence = "Order imported." if is_new else "Order changed by an import."
    return Event(event_type="order_imported", description=sentence, actor=actor, new_value=status)


def deleted(status: Status, actor: Actor) -> Event:
    return Event(event_type="order_deleted", description="Order deleted.", actor=actor, old_value=status)


def differences(before: OrderRow, after: OrderRow, actor: Actor, notes: Sequence[str] = ()) -> list[Event]:
    """One event for each thing that people can see to have changed."""
    found = []
    if before.items != after.items:
        found.append(
            Event(
                event_type="items_changed",
                description=f"Lines changed: {before.total} became {after.total}{_noted(notes)}.",
                actor=actor,
                old_value=_text(before.items),
                new_value=_text(after.items),
            )
        )
    if before.status != after.status:
        found.append(
            Event(
                event_type="status_changed",
                description=f"Status changed from {before.status} to {after.status}.",
                actor=actor,
                old_value=before.status,
                new_value=after.status,
            )
        )
    if before.user_id != after.user_id:
        found.append(
            Event(
                event_type="owner_changed",
                description=f"Order handed over from user {before.user_id} to user {after.user_id}.",
                actor=actor,
                old_value=str(before.user_id),
                new_value=str(after.user_id),
            )
        )
    return found


def _noted(notes: Sequence[str]) -> str:
    return f" ({'; '.join(notes)})" if notes else ""


def _text(items: list[Item]) -> str:
    return msgspec.json.encode(items).decode()
