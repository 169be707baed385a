"""The contract with the orders service."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from microdemo_inventory.values import MAX_EPOCH, Sku

__all__ = (
    "CataloguePrices",
    "CreatedSkus",
    "Refusal",
    "Reservation",
    "ReservationCreate",
    "ReservedLine",
    "SkuList",
    "WantedLine",
)

_MOST_LINES = 1000
_MOST_PIECES = 1_000_000

State = Literal["held", "refused", "released", "sold"]


class WantedLine(Struct, frozen=True):
    sku: Sku
    quantity: Annotated[int, Meta(ge=1, le=_MOST_PIECES)]
    price: Decimal | None = None


class ReservationCreate(Struct, frozen=True):
    """``prices`` tells what a stated price is worth; an unstated one is the replaced epoch's, else the catalogue's.

    ``must_agree``: it must equal that one, or the reservation is refused. ``as_stated``: it stands, whatever that is.
    """

    lines: Annotated[list[WantedLine], Meta(min_length=1, max_length=_MOST_LINES)]
    prices: Literal["must_agree", "as_stated"]
    total: Decimal | None = None
    replaces: Annotated[int, Meta(ge=0, le=MAX_EPOCH)] | None = None


class ReservedLine(Struct, frozen=True):
    sku: str
    quantity: int
    price: Decimal


class Refusal(Struct, frozen=True):
    """One thing that is wrong. Per SKU: ``unknown`` (with ``wanted``), ``short`` (and ``available``), ``unpriced``.

    Per line: ``price``. Once, without a SKU: ``total``. Both with ``stated`` and ``actual``.
    """

    sku: str | None
    reason: Literal["unknown", "short", "price", "unpriced", "total"]
    wanted: int | UnsetType = UNSET
    available: int | UnsetType = UNSET
    stated: Decimal | UnsetType = UNSET
    actual: Decimal | UnsetType = UNSET


class Reservation(Struct, frozen=True, kw_only=True):
    """``lines`` are what is held or sold, one for one in the request's order; else there are none, and no total."""

    order_id: str
    epoch: int
    state: State
    lines: list[ReservedLine]
    total: Decimal | None
    refusals: list[Refusal]


class SkuList(Struct, frozen=True):
    skus: Annotated[list[Sku], Meta(min_length=1, max_length=_MOST_LINES)]


class CataloguePrices(Struct, frozen=True):
    """By SKU; null where the catalogue has none. Unknown SKUs are left out."""

    prices: dict[str, Decimal | None]


class CreatedSkus(Struct, frozen=True):
    """Those that were unknown until now."""

    created: list[str]
