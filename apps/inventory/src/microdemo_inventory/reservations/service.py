"""The rules around the SQL functions: what a request says, and whether an epoch was decided for just that."""

import hashlib
from decimal import Decimal

import msgspec

from microdemo_core.db import Database
from microdemo_core.problems import Invalid
from microdemo_inventory import values
from microdemo_inventory.catalogue import forget
from microdemo_inventory.repository import ItemRepository
from microdemo_inventory.reservations.errors import NothingHeld, ReservationMismatch, UnknownReservation
from microdemo_inventory.reservations.repository import Decision, ReservationRepository
from microdemo_inventory.reservations.schemas import Reservation, ReservationCreate, WantedLine

__all__ = ("Reservations",)


class Reservations:
    """Each method is one round trip and one transaction; what it says is committed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, order_id: str, epoch: int, wanted: ReservationCreate) -> Reservation:
        """Raises: ReservationMismatch, Invalid."""
        if wanted.replaces is not None and wanted.replaces >= epoch:
            # Locks are taken from the newer epoch to the older, so nobody waits in a circle.
            raise Invalid.field("replaces", f"only an epoch before {epoch} can be replaced")
        wanted = _rounded(wanted)
        async with self._database.single_statement() as work:
            decision = await ReservationRepository(work).reserve(
                order_id,
                epoch,
                wanted.lines,
                total=wanted.total,
                prices_stand=wanted.prices == "as_stated",
                replaces=wanted.replaces,
                request_hash=hashlib.blake2b(msgspec.json.encode(wanted), digest_size=16).hexdigest(),
            )
        if decision is None:
            raise ReservationMismatch(order_id, epoch)
        return _reservation(order_id, epoch, decision)

    async def release(self, order_id: str, epoch: int) -> Reservation:
        async with self._database.single_statement() as work:
            decision = await ReservationRepository(work).release(order_id, epoch)
        return _reservation(order_id, epoch, decision)

    async def sell(self, order_id: str, epoch: int) -> Reservation:
        """Raises: UnknownReservation, NothingHeld."""
        async with self._database.single_statement() as work:
            decision = await ReservationRepository(work).sell(order_id, epoch)
        if decision is None:
            raise UnknownReservation(order_id, epoch)
        if decision.state != "sold":
            raise NothingHeld(order_id, epoch, decision.state)
        return _reservation(order_id, epoch, decision)

    async def prices(self, skus: list[str]) -> dict[str, Decimal | None]:
        async with self._database.unit_of_work(read_only=True) as work:
            return await ItemRepository(session=work.session).prices(skus)

    async def create_skus(self, skus: list[str]) -> list[str]:
        """Raises: Invalid."""
        for index, sku in enumerate(skus):
            values.checked(f"skus[{index}]", values.usable_sku, sku)
        async with self._database.single_statement() as work:
            created = await ItemRepository(session=work.session).create_unknown(skus)
            forget(work, created)
        return [item.sku for item in created]


def _rounded(wanted: ReservationCreate) -> ReservationCreate:
    """Amounts in whole cents: what differs by less is the same request."""
    lines = [
        line
        if line.price is None
        else WantedLine(line.sku, line.quantity, values.checked(f"lines[{index}].price", values.price, line.price))
        for index, line in enumerate(wanted.lines)
    ]
    total = None if wanted.total is None else values.checked("total", values.total, wanted.total)
    return msgspec.structs.replace(wanted, lines=lines, total=total)


def _reservation(order_id: str, epoch: int, decision: Decision) -> Reservation:
    return Reservation(
        order_id=order_id,
        epoch=epoch,
        state=decision.state,
        lines=decision.lines,
        total=decision.total,
        refusals=decision.refusals,
    )
