"""Tables of the orders service. ``orders.items`` (jsonb) is the truth; the view ``order_items`` shows it as rows."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from advanced_alchemy.base import DefaultBase
from advanced_alchemy.types import DateTimeUTC
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Text,
    TypeDecorator,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from microdemo_core.db import IdentityBase, Timestamps
from microdemo_orders.intent import Intent
from microdemo_orders.machine import SAGAS, STATUSES, UNDECIDED, UNPLACED, Saga, Status
from microdemo_orders.schemas import Item, Order, OrderEvent
from microdemo_orders.stock import Refusal

__all__ = ("EventRow", "KeyRow", "OrderRow")


class _Json(TypeDecorator[Any]):
    """jsonb that is a msgspec type in Python."""

    impl = JSONB
    cache_ok = True

    def __init__(self, as_type: Any) -> None:
        super().__init__(none_as_null=True)
        self.as_type = as_type

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        return msgspec.to_builtins(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else msgspec.convert(value, self.as_type)


def _among(column: str, names: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(repr(name) for name in names)})"


_VISIBLE = f"NOT {_among('saga', UNPLACED)} AND deleted_at IS NULL"


class OrderRow(Timestamps, DefaultBase):
    """One order, and how far it has got with inventory.

    ``version`` counts what people can see, ``epoch`` the reservations asked for; ``held_epoch`` is the one that has
    the stock. ``intent`` is what inventory is being asked, ``refusals`` what it last said no to. ``due_at`` is when
    somebody should look after an order that its request left unsettled, ``deadline_at`` when to give up placing it.
    """

    __tablename__ = "orders"
    __bind_key__ = "orders"
    __table_args__ = (
        CheckConstraint(_among("status", STATUSES), name="status_known"),
        CheckConstraint(_among("saga", SAGAS), name="saga_known"),
        CheckConstraint("total >= 0", name="total_not_negative"),
        Index("ix_orders_newest", text("created_at DESC"), text("id DESC"), postgresql_where=text("visible")),
        Index(
            "ix_orders_own",
            "user_id",
            text("created_at DESC"),
            text("id DESC"),
            postgresql_include=["status", "total"],
            postgresql_where=text("visible"),
        ),
        Index(
            "ix_orders_status",
            "status",
            text("created_at DESC"),
            text("id DESC"),
            postgresql_include=["total"],
            postgresql_where=text("visible"),
        ),
        Index(
            "ix_orders_analytics",
            "created_at",
            postgresql_include=["status", "total"],
            postgresql_where=text("visible"),
        ),
        Index("ix_orders_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    )

    id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True, sort_order=-100)
    user_id: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[Status] = mapped_column(Text)
    total: Mapped[Decimal] = mapped_column(Numeric(18, 2))
    items: Mapped[list[Item]] = mapped_column(_Json(list[Item]))
    version: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    epoch: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    held_epoch: Mapped[int | None] = mapped_column(Integer)
    saga: Mapped[Saga] = mapped_column(Text)
    intent: Mapped[Intent | None] = mapped_column(_Json(Intent))
    refusals: Mapped[list[Refusal] | None] = mapped_column(_Json(list[Refusal]))
    reason: Mapped[str | None] = mapped_column(Text)
    request_hash: Mapped[str] = mapped_column(Text, server_default=text("''"))
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    due_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True))
    deadline_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True))
    visible: Mapped[bool] = mapped_column(Computed(_VISIBLE, persisted=True))

    def shown(self) -> Order:
        """As its owner sees it. An order that is being placed has no total before all its prices are known."""
        prices_known = all(item.price is not None for item in self.items)
        return Order(
            id=self.id,
            user_id=self.user_id,
            total=self.total if prices_known else None,
            status=self.status,
            items=self.items,
            created_at=self.created_at,
            updated_at=self.updated_at,
            version=self.version,
            settling=self.saga in UNDECIDED,
            reason=self.reason,
        )


class EventRow(IdentityBase):
    """One line of the audit trail. A trigger refuses UPDATE and DELETE; no foreign key, so it survives its order."""

    __tablename__ = "order_events"
    __bind_key__ = "orders"
    __table_args__ = (Index("ix_order_events_order_id", "order_id", "id"),)

    order_id: Mapped[str] = mapped_column(Text(collation="C"))
    event_type: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    old_value: Mapped[str | None] = mapped_column(Text)
    new_value: Mapped[str | None] = mapped_column(Text)
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    correlation_id: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True), server_default=func.now())

    def shown(self) -> OrderEvent:
        return OrderEvent(
            id=self.id,
            order_id=self.order_id,
            event_type=self.event_type,
            description=self.description,
            old_value=self.old_value,
            new_value=self.new_value,
            user_id=self.user_id,
            correlation_id=self.correlation_id,
            created_at=self.created_at,
        )


class KeyRow(DefaultBase):
    """A caller's ``Idempotency-Key`` and the answer it claimed; ``status_code`` is null until there is one."""

    __tablename__ = "idempotency_keys"
    __bind_key__ = "orders"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    request_hash: Mapped[str] = mapped_column(Text)
    order_id: Mapped[str] = mapped_column(Text(collation="C"))
    status_code: Mapped[int | None] = mapped_column(SmallInteger)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True), server_default=func.now())
