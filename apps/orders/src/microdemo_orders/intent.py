"""What an order is about to become, written down before inventory is asked, so that anybody can finish it."""

from datetime import datetime
from typing import Self

import msgspec

from microdemo_core.auth import Principal
from microdemo_core.correlation import correlation_id
from microdemo_orders.machine import SettableStatus
from microdemo_orders.stock import ReservationRequest

__all__ = ("Actor", "Intent")


class Actor(msgspec.Struct, frozen=True):
    """Who decided, for the audit trail, however late and by whom it is carried out."""

    user_id: int
    correlation_id: str | None

    @classmethod
    def of(cls, principal: Principal) -> Self:
        return cls(principal.user_id, correlation_id.get())


class Intent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``request`` is sent as it is at every try: inventory knows it by its hash.

    ``notes`` are for the event: where a stated price differs from the catalogue's. ``key`` is the caller's
    Idempotency-Key, whose answer is stored together with the order. ``created_at`` is an import's.
    """

    request: ReservationRequest
    status: SettableStatus
    user_id: int
    actor: Actor
    notes: list[str] = []
    key: str | None = None
    created_at: datetime | None = None
    is_import: bool = False
