"""The one table of what may follow what: an order's status, which people see, and its saga, which moves the stock.

    status   pending ─► processing ─► shipped ─► delivered ─► completed        (an admin may skip ahead to completed)
                │           │            │
                └───────────┴────────────┴──► cancelled ─► pending             (takes the stock again)

    saga     placing ─► held ─► selling ─► sold            placing ─► rejected          refused by inventory
                │       │ ▲         │        │             placing ─► aborting ─► failed   never got an answer
                │       ▼ │         ▼        ▼             rejected | failed ─► placing    the id is tried again
                │     editing     releasing ─► released ─► reactivating ─► held | released
                └─► selling     placed as shipped, delivered or completed

The API asks it, the database's constraints repeat its two sets of names, and the driver in ``settling`` walks it.
"""

from collections.abc import Mapping
from typing import Final, Literal

__all__ = (
    "ASKING",
    "SAGAS",
    "SAGA_STEPS",
    "STATUSES",
    "STATUS_STEPS",
    "UNDECIDED",
    "UNPLACED",
    "UNSETTLED",
    "Saga",
    "SettableStatus",
    "Status",
    "landing",
    "may_step",
    "saga_after",
    "takes_stock",
)

SettableStatus = Literal["pending", "processing", "shipped", "delivered", "completed", "cancelled"]
Status = Literal["pending", "processing", "shipped", "delivered", "completed", "cancelled", "rejected"]
Saga = Literal[
    "placing",
    "aborting",
    "rejected",
    "failed",
    "held",
    "editing",
    "selling",
    "sold",
    "releasing",
    "released",
    "reactivating",
    "none",
]

STATUS_STEPS: Final[Mapping[Status, tuple[SettableStatus, ...]]] = {
    "pending": ("processing", "completed", "cancelled"),
    "processing": ("shipped", "completed", "cancelled"),
    "shipped": ("delivered", "completed", "cancelled"),
    "delivered": ("completed",),
    "completed": (),
    "cancelled": ("pending",),
    "rejected": (),
}

# "none" is an order that never had stock: imported history, or created as cancelled.
SAGA_STEPS: Final[Mapping[Saga, tuple[Saga, ...]]] = {
    "placing": ("held", "selling", "rejected", "failed", "aborting"),
    "aborting": ("failed",),
    "rejected": ("placing",),
    "failed": ("placing",),
    "held": ("editing", "selling", "releasing"),
    "editing": ("held", "selling", "releasing"),
    "selling": ("sold", "releasing"),
    "sold": ("releasing",),
    "releasing": ("released",),
    "released": ("reactivating",),
    "reactivating": ("held", "released"),
    "none": ("reactivating",),
}

STATUSES: Final = tuple(STATUS_STEPS)
SAGAS: Final = tuple(SAGA_STEPS)

UNPLACED: Final[tuple[Saga, ...]] = ("placing", "aborting", "rejected", "failed")
"""In no list, count or export."""

ASKING: Final[tuple[Saga, ...]] = ("placing", "editing", "reactivating")
"""Inventory has been asked for stock and may still refuse, so nothing else may be decided."""

UNDECIDED: Final[tuple[Saga, ...]] = (*ASKING, "aborting")
"""What people see as ``settling``."""

UNSETTLED: Final[tuple[Saga, ...]] = (*UNDECIDED, "selling", "releasing")
"""Something is still to be said to inventory."""


def may_step(saga: Saga, to: Saga) -> bool:
    return to == saga or to in SAGA_STEPS[saga]


def takes_stock(status: Status) -> bool:
    """Whether a new order of this status reserves."""
    return status not in ("cancelled", "rejected")


def landing(status: Status) -> Saga:
    """The saga of an order that has just got its stock."""
    if status in ("pending", "processing"):
        return "held"
    return "releasing" if status == "cancelled" else "selling"


def saga_after(saga: Saga, status: Status) -> Saga:
    """The saga once a legal change of status, other than back to pending, is decided."""
    if saga == "none":
        return "none"
    if status == "cancelled":
        return "releasing"
    return landing(status) if saga == "held" else saga
