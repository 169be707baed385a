"""What can be wrong with a reservation besides being refused, which is an answer and no error.

Conflict                        NotFound
├── ReservationMismatch         └── UnknownReservation
└── NothingHeld
"""

from microdemo_core.problems import Conflict, NotFound

__all__ = ("NothingHeld", "ReservationMismatch", "UnknownReservation")


class ReservationMismatch(Conflict):
    """This epoch was decided for other lines, prices or total."""

    def __init__(self, order_id: str, epoch: int) -> None:
        super().__init__(f"Epoch {epoch} of order {order_id} was decided for another request.")


class UnknownReservation(NotFound):
    """Nothing was ever asked for this epoch."""

    def __init__(self, order_id: str, epoch: int) -> None:
        super().__init__(f"Nothing was reserved for epoch {epoch} of order {order_id}.")


class NothingHeld(Conflict):
    """What was refused or released cannot be sold; ``state`` tells which."""

    def __init__(self, order_id: str, epoch: int, state: str) -> None:
        super().__init__(f"Epoch {epoch} of order {order_id} is {state}: it has nothing to sell.", state=state)
