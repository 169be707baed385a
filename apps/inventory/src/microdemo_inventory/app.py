"""The inventory service: the catalogue with its stock, a ledger of every change, and reservations for orders."""

from pathlib import Path
from typing import Final

from litestar import Litestar
from litestar.di import Provide

from microdemo_core.plugin import KernelPlugin
from microdemo_inventory.controllers import AnalyticsController, ItemController, TransferController
from microdemo_inventory.dependencies import provide_analytics, provide_catalogue, provide_items, provide_reservations
from microdemo_inventory.reservations.controllers import ReservationController
from microdemo_inventory.settings import InventorySettings

__all__ = ("MIGRATIONS", "create_app")

MIGRATIONS: Final = Path(__file__).with_name("migrations")


def create_app(settings: InventorySettings | None = None) -> Litestar:
    return Litestar(
        [ItemController, AnalyticsController, TransferController, ReservationController],
        dependencies={
            "analytics": Provide(provide_analytics),
            "catalogue": Provide(provide_catalogue),
            "reservations": Provide(provide_reservations),
            "items": Provide(provide_items),
        },
        plugins=[KernelPlugin(settings or InventorySettings.load(), name="inventory", migrations=MIGRATIONS)],
    )
