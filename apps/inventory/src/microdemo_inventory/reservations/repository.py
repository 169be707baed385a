"""The SQL functions of ``migrations/sql``, called. Each call is one statement, and a transaction of its own."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import ARRAY, Boolean, Integer, Numeric, String, TextClause, bindparam, text

from microdemo_core.db import UnitOfWork
from microdemo_inventory.catalogue import forget
from microdemo_inventory.reservations.schemas import Refusal, ReservedLine, State, WantedLine

__all__ = ("Decision", "ReservationRepository")

_MONEY = Numeric(20, 2)

# As text: it is decoded once, into a struct.
_RESERVE = text(
    "SELECT reserve_stock("
    ":order_id, :epoch, :request_hash, :skus, :quantities, :prices, :total, :stand, :replaces)::text"
).bindparams(
    bindparam("order_id", type_=String),
    bindparam("epoch", type_=Integer),
    bindparam("request_hash", type_=String),
    bindparam("skus", type_=ARRAY(String)),
    bindparam("quantities", type_=ARRAY(Integer)),
    bindparam("prices", type_=ARRAY(_MONEY)),
    bindparam("total", type_=_MONEY),
    bindparam("stand", type_=Boolean),
    bindparam("replaces", type_=Integer),
)
_PAIR = (bindparam("order_id", type_=String), bindparam("epoch", type_=Integer))
_RELEASE = text("SELECT release_stock(:order_id, :epoch)::text").bindparams(*_PAIR)
_SELL = text("SELECT sell_stock(:order_id, :epoch)::text").bindparams(*_PAIR)


class _Touched(msgspec.Struct, frozen=True):
    id: int
    sku: str


class Decision(msgspec.Struct, frozen=True):
    """``touched`` are the items whose stock this call has changed."""

    state: State
    lines: list[ReservedLine]
    total: Decimal | None
    refusals: list[Refusal]
    touched: list[_Touched]


class ReservationRepository:
    def __init__(self, work: UnitOfWork) -> None:
        self._work = work

    async def reserve(
        self,
        order_id: str,
        epoch: int,
        lines: Sequence[WantedLine],
        *,
        total: Decimal | None,
        prices_stand: bool,
        replaces: int | None,
        request_hash: str,
    ) -> Decision | None:
        """None where this epoch was decided for another request."""
        answer = await self._call(
            _RESERVE,
            order_id=order_id,
            epoch=epoch,
            request_hash=request_hash,
            skus=[line.sku for line in lines],
            quantities=[line.quantity for line in lines],
            prices=[line.price for line in lines],
            total=total,
            stand=prices_stand,
            replaces=replaces,
        )
        return None if answer is None else self._decide(answer)

    async def release(self, order_id: str, epoch: int) -> Decision:
        return self._decide(await self._call(_RELEASE, order_id=order_id, epoch=epoch))

    async def sell(self, order_id: str, epoch: int) -> Decision | None:
        """None where this epoch was never seen."""
        answer = await self._call(_SELL, order_id=order_id, epoch=epoch)
        return None if answer is None else self._decide(answer)

    async def _call(self, function: TextClause, **arguments: Any) -> Any:
        return await self._work.session.scalar(function, arguments)

    def _decide(self, answer: str) -> Decision:
        decision = msgspec.json.decode(answer, type=Decision)
        forget(self._work, [(item.id, item.sku) for item in decision.touched])
        return decision
