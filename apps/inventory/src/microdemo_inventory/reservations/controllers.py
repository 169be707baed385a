"""The HTTP side of reservations: for other services, and never behind the gateway."""

from typing import Annotated

from litestar import Controller, delete, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from microdemo_core.auth import requires_service
from microdemo_core.openapi import problems
from microdemo_inventory.reservations.errors import NothingHeld, ReservationMismatch, UnknownReservation
from microdemo_inventory.reservations.schemas import (
    CataloguePrices,
    CreatedSkus,
    Reservation,
    ReservationCreate,
    SkuList,
)
from microdemo_inventory.reservations.service import Reservations
from microdemo_inventory.values import MAX_EPOCH, SKU_PATTERN

__all__ = ("ReservationController",)

# An order's id is made of the same characters as a SKU.
_OrderId = Annotated[str, PathParameter(pattern=SKU_PATTERN, max_length=64, description="The order's id.")]
_Epoch = Annotated[int, PathParameter(ge=0, le=MAX_EPOCH, description="Counts the order's attempts to hold stock.")]


class ReservationController(Controller):
    path = "/reservations"
    tags = ("reservations",)
    guards = (requires_service,)

    @put(
        "/{order_id:str}/{epoch:int}",
        summary="Reserve stock",
        operation_id="reserve",
        responses=problems(ReservationMismatch),
    )
    async def reserve(
        self,
        order_id: _OrderId,
        epoch: _Epoch,
        data: JSONBody[ReservationCreate],
        reservations: NamedDependency[Reservations],
    ) -> Reservation:
        """All lines or none, decided once. A refusal is an answer, 200, and lists everything that is wrong."""
        return await reservations.reserve(order_id, epoch, data)

    @delete("/{order_id:str}/{epoch:int}", summary="Release what is reserved", operation_id="release", status_code=200)
    async def release(
        self, order_id: _OrderId, epoch: _Epoch, reservations: NamedDependency[Reservations]
    ) -> Reservation:
        """Gives back, once, what is held or sold. An epoch that was never seen is closed for good."""
        return await reservations.release(order_id, epoch)

    @put(
        "/{order_id:str}/{epoch:int}/sold",
        summary="Sell what is reserved",
        operation_id="sell",
        responses=problems(UnknownReservation, NothingHeld),
    )
    async def sell(self, order_id: _OrderId, epoch: _Epoch, reservations: NamedDependency[Reservations]) -> Reservation:
        return await reservations.sell(order_id, epoch)

    @post("/prices", summary="Catalogue prices", operation_id="get_prices", status_code=200)
    async def get_prices(self, data: JSONBody[SkuList], reservations: NamedDependency[Reservations]) -> CataloguePrices:
        """For orders that take no stock, and to tell by how much an admin's price differs."""
        return CataloguePrices(await reservations.prices(data.skus))

    @post("/skus", summary="Create unknown SKUs", operation_id="create_skus")
    async def create_skus(self, data: JSONBody[SkuList], reservations: NamedDependency[Reservations]) -> CreatedSkus:
        """With no stock and no price; those that exist stay as they are."""
        return CreatedSkus(await reservations.create_skus(data.skus))
