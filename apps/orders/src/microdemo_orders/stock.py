"""Inventory as the orders service sees it: reservations by order and epoch, and the catalogue's prices."""

from decimal import Decimal
from typing import Literal

import msgspec

from microdemo_core.auth import TokenSigner
from microdemo_core.clients import Peer, PeerFailed, Reply

__all__ = ("Line", "PricedLine", "Prices", "Refusal", "Reservation", "ReservationRequest", "Stock")

Prices = Literal["must_agree", "as_stated"]
"""What a stated price is worth: it must be ours, or it stands whatever ours is."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """Pieces wanted; without a price they cost what the catalogue says."""

    sku: str
    quantity: int
    price: Decimal | None = None


class PricedLine(msgspec.Struct, frozen=True):
    sku: str
    quantity: int
    price: Decimal


class ReservationRequest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All lines or none. ``replaces`` is the epoch that this one gives back: its pieces count, its prices stand."""

    lines: list[Line]
    prices: Prices
    total: Decimal | None = None
    replaces: int | None = None


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One reason why nothing was taken."""

    sku: str | None = None
    reason: Literal["unknown", "short", "price", "unpriced", "total"]
    wanted: int | None = None
    available: int | None = None
    stated: Decimal | None = None
    actual: Decimal | None = None


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """What inventory decided about one epoch, now or before."""

    state: Literal["held", "refused", "released", "sold"]
    lines: list[PricedLine] = []
    total: Decimal | None = None
    refusals: list[Refusal] = []


class _Prices(msgspec.Struct, frozen=True):
    prices: dict[str, Decimal | None]


class _Created(msgspec.Struct, frozen=True):
    created: list[str]


class Stock:
    """Every call is idempotent, so the peer may repeat it. Raises: PeerProblem, for anything but the agreed answer."""

    def __init__(self, peer: Peer, signer: TokenSigner) -> None:
        self._peer = peer
        self._signer = signer

    async def reserve(self, order_id: str, epoch: int, request: ReservationRequest, *, acting_for: int) -> Reservation:
        reply = await self._peer.put(f"/reservations/{order_id}/{epoch}", json=request, token=self._token(acting_for))
        return _agreed(reply).decode(Reservation)

    async def release(self, order_id: str, epoch: int, *, acting_for: int) -> None:
        """Gives back what the epoch has, held or sold; one that was never asked for can then hold nothing any more."""
        _agreed(await self._peer.delete(f"/reservations/{order_id}/{epoch}", token=self._token(acting_for)))

    async def sell(self, order_id: str, epoch: int, *, acting_for: int) -> None:
        _agreed(await self._peer.put(f"/reservations/{order_id}/{epoch}/sold", token=self._token(acting_for)))

    async def create_missing(self, skus: list[str], *, acting_for: int) -> list[str]:
        """Those that inventory did not know; they are there now, with quantity 0 and no price."""
        reply = await self._peer.post(
            "/reservations/skus", json={"skus": skus}, token=self._token(acting_for), idempotent=True
        )
        return _agreed(reply).decode(_Created).created

    async def prices(self, skus: list[str], *, acting_for: int) -> dict[str, Decimal | None]:
        """The catalogue's, None where it has none; a SKU that inventory does not know is left out."""
        reply = await self._peer.post(
            "/reservations/prices", json={"skus": skus}, token=self._token(acting_for), idempotent=True
        )
        return _agreed(reply).decode(_Prices).prices

    def _token(self, acting_for: int) -> str:
        return self._signer.service_token("inventory", acting_for=acting_for)


def _agreed(reply: Reply) -> Reply:
    """A 4xx means that we called wrongly: nothing that our own caller could mend."""
    if not reply.is_success:
        raise PeerFailed(reply.peer)
    return reply
