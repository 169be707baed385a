"""Idempotency-Keys: claimed with the order, answered with its outcome, forgotten when it was refused."""

from datetime import timedelta
from typing import Final, cast

from sqlalchemy import Table, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from microdemo_orders.models import KeyRow

__all__ = ("Keys",)

LIFETIME: Final = timedelta(hours=24)

_KEYS: Final = cast("Table", KeyRow.__table__)
_FREE_AGAIN: Final = func.now() - LIFETIME
_MINE: Final = (_KEYS.c.user_id == bindparam("caller"), _KEYS.c.key == bindparam("named"))
_OPEN: Final = (*_MINE, _KEYS.c.order_id == bindparam("claimed_for"), _KEYS.c.status_code.is_(None))

# Built once, as those of the orders are, and for the same reason.
_FIND: Final = select(KeyRow).where(*_MINE, _KEYS.c.created_at > _FREE_AGAIN)
_FRESH: Final = insert(_KEYS)
_CLAIM: Final = _FRESH.on_conflict_do_update(
    index_elements=[_KEYS.c.user_id, _KEYS.c.key],
    set_={each.name: each for each in _FRESH.excluded if not each.primary_key},
    where=_KEYS.c.created_at <= _FREE_AGAIN,
).returning(_KEYS.c.key)
_ANSWER: Final = (
    update(_KEYS).where(*_OPEN).values(status_code=bindparam("new_status_code"), body=bindparam("new_body"))
)
_FORGET: Final = delete(_KEYS).where(*_OPEN)


class Keys:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, user_id: int, key: str) -> KeyRow | None:
        """None for one that is older than its lifetime."""
        return (await self._session.scalars(_FIND, {"caller": user_id, "named": key})).one_or_none()

    async def claim(self, user_id: int, key: str, *, request_hash: str, order_id: str) -> bool:
        """False if it is taken. A concurrent twin waits here until the first has committed its claim."""
        values = {"user_id": user_id, "key": key, "request_hash": request_hash, "order_id": order_id}
        return await self._session.scalar(_CLAIM, values) is not None

    async def answer(self, user_id: int, key: str, *, order_id: str, status_code: int, body: bytes) -> None:
        """Stores the first answer; a later one changes nothing."""
        values = {"caller": user_id, "named": key, "claimed_for": order_id}
        await self._session.execute(_ANSWER, {**values, "new_status_code": status_code, "new_body": body})

    async def forget(self, user_id: int, key: str, *, order_id: str) -> None:
        """Frees a key that no answer has claimed."""
        await self._session.execute(_FORGET, {"caller": user_id, "named": key, "claimed_for": order_id})
