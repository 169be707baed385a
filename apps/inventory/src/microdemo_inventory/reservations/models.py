"""Tables of the reservations. Only the functions in ``migrations/sql`` write to them."""

from decimal import Decimal
from typing import Any

from advanced_alchemy.base import DefaultBase
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Integer, Numeric, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from microdemo_core.db import Timestamps

__all__ = ("ReservationLineRow", "ReservationRow")


class ReservationRow(Timestamps, DefaultBase):
    """What was decided about one epoch of an order, for good: it is never deleted.

    A release that comes before its reserve leaves a tombstone: ``released``, without ``request_hash``.
    """

    __tablename__ = "reservations"
    __bind_key__ = "inventory"
    __table_args__ = (CheckConstraint("state IN ('held', 'refused', 'released', 'sold')", name="state_known"),)

    order_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    request_hash: Mapped[str | None] = mapped_column(Text)
    refusals: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))


class ReservationLineRow(DefaultBase):
    """Pieces that an order has: held, or ``sold`` for good. Released ones are gone from here."""

    __tablename__ = "reservation_lines"
    __bind_key__ = "inventory"
    __table_args__ = (
        ForeignKeyConstraint(["order_id", "epoch"], ["reservations.order_id", "reservations.epoch"]),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("price >= 0", name="price_not_negative"),
        Index("ix_reservation_lines_sku", "sku", "sold"),
    )

    order_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    line: Mapped[int] = mapped_column(Integer, primary_key=True)
    sku: Mapped[str] = mapped_column(Text(collation="C"))
    quantity: Mapped[int] = mapped_column(Integer)
    price: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    sold: Mapped[bool] = mapped_column(server_default=text("false"))
