"""What can be wrong with an order, each with its status.

NotFound   NoSuchOrder
Forbidden  NotYourOrder, AdminsOnly
Invalid    UnknownSku, KeyReused
Conflict   AlreadyExists, InsufficientStock, PriceMismatch, IllegalTransition, LinesAreFixed, OrderRejected,
           StillSettling, ChangedMeanwhile
"""

from decimal import Decimal

import msgspec

from microdemo_core.problems import Conflict, FieldError, Forbidden, Invalid, NotFound, Problem
from microdemo_orders.machine import STATUS_STEPS, Status
from microdemo_orders.stock import Refusal

__all__ = (
    "AdminsOnly",
    "AlreadyExists",
    "ChangedMeanwhile",
    "IllegalTransition",
    "InsufficientStock",
    "KeyReused",
    "LinesAreFixed",
    "NoSuchOrder",
    "NotYourOrder",
    "OrderRejected",
    "PriceMismatch",
    "StillSettling",
    "UnknownSku",
    "refusal",
)


class NoSuchOrder(NotFound):
    """There is no such order, or no longer."""

    def __init__(self) -> None:
        super().__init__("There is no such order, or no longer.")


class NotYourOrder(Forbidden):
    """The order is somebody else's."""

    def __init__(self) -> None:
        super().__init__("This order is not yours.")


class AdminsOnly(Forbidden):
    """The change is an admin's to make."""


class UnknownSku(Invalid):
    """A SKU that inventory does not have."""

    def __init__(self, skus: list[str]) -> None:
        sentence = f"There is no such SKU: {', '.join(skus)}."
        super().__init__(sentence, errors=[FieldError("items", f"{sku} is no SKU that we have") for sku in skus])


class KeyReused(Invalid):
    """The Idempotency-Key was used with another body."""

    def __init__(self) -> None:
        sentence = "This Idempotency-Key was used for another request; use a new one."
        super().__init__(sentence, errors=[FieldError("Idempotency-Key", sentence)])


class AlreadyExists(Conflict):
    """The id is taken."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"An order {order_id} already exists.")


class Shortage(msgspec.Struct, frozen=True):
    sku: str
    wanted: int
    available: int


class InsufficientStock(Conflict):
    """Too few pieces; ``shortages`` names SKU, wanted and available."""

    def __init__(self, shortages: list[Shortage]) -> None:
        named = "; ".join(f"{short.sku}: {short.wanted} wanted, {short.available} available" for short in shortages)
        super().__init__(f"There is not enough stock. {named}.", shortages=shortages)


class PriceMismatch(Conflict):
    """A stated price or total is not ours; ``prices`` names both."""

    def __init__(self, refusals: list[Refusal]) -> None:
        super().__init__(" ".join(map(_price_sentence, refusals)), prices=[msgspec.to_builtins(r) for r in refusals])

    @classmethod
    def of_price(cls, sku: str, *, stated: Decimal, actual: Decimal | None) -> "PriceMismatch":
        if actual is None:
            return cls([Refusal(sku=sku, reason="unpriced", stated=stated)])
        return cls([Refusal(sku=sku, reason="price", stated=stated, actual=actual)])

    @classmethod
    def of_total(cls, *, stated: Decimal, actual: Decimal) -> "PriceMismatch":
        return cls([Refusal(reason="total", stated=stated, actual=actual)])


class IllegalTransition(Conflict):
    """The status cannot follow the present one; ``next`` names those that can."""

    def __init__(self, old: Status, new: Status) -> None:
        steps = STATUS_STEPS[old]
        allowed = f"it can become {', '.join(steps)}" if steps else "that is final"
        super().__init__(f"An order that is {old} cannot become {new}: {allowed}.", next=list(steps))


class LinesAreFixed(Conflict):
    """Lines change only while an order is pending."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"The lines of an order can be changed while it is pending; this one is {status}.")


class OrderRejected(Conflict):
    """The order was refused, and there is nothing to change."""

    def __init__(self, reason: str | None) -> None:
        super().__init__(f"This order was refused. {reason or ''}".rstrip())


class StillSettling(Conflict):
    """Inventory has not answered yet; with Retry-After."""

    def __init__(self) -> None:
        super().__init__(
            "This order is still being settled with inventory. Try again in a moment.", headers={"Retry-After": "1"}
        )


class ChangedMeanwhile(Conflict):
    """Others change the order at this moment."""

    def __init__(self) -> None:
        super().__init__("The order is being changed by others at this moment. Look at it, and try again.")


def refusal(refusals: list[Refusal]) -> Problem:
    """The first of these that applies: unknown SKUs 422, shortages 409, prices 409."""
    unknown = [entry.sku for entry in refusals if entry.reason == "unknown" and entry.sku]
    if unknown:
        return UnknownSku(unknown)
    shortages = [
        Shortage(entry.sku or "", entry.wanted or 0, entry.available or 0)
        for entry in refusals
        if entry.reason == "short"
    ]
    return InsufficientStock(shortages) if shortages else PriceMismatch(refusals)


def _price_sentence(entry: Refusal) -> str:
    if entry.reason == "unpriced":
        return f"{entry.sku} has no price, so only an admin can sell it, by stating one."
    subject = f"The price of {entry.sku}" if entry.sku else "The total"
    return f"{subject} is {entry.actual}, not {entry.stated}."
