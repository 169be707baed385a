"""The orders service: orders placed and changed together with inventory, their audit trail, statistics and CSV."""

from pathlib import Path
from typing import Final

from litestar import Litestar

from microdemo_core.plugin import KernelPlugin
from microdemo_orders.controllers import AnalyticsController, OrderController, TransferController
from microdemo_orders.dependencies import dependencies
from microdemo_orders.settings import OrdersSettings

__all__ = ("MIGRATIONS", "create_app")

MIGRATIONS: Final = Path(__file__).with_name("migrations")


def create_app(settings: OrdersSettings | None = None) -> Litestar:
    settings = settings or OrdersSettings.load()
    kernel = KernelPlugin(
        settings,
        name="orders",
        migrations=MIGRATIONS,
        peers={
            "users": (settings.users_url, settings.users_timeout_seconds),
            "inventory": (settings.inventory_url, settings.inventory_timeout_seconds),
        },
    )
    return Litestar(
        [OrderController, AnalyticsController, TransferController],
        dependencies=dependencies(kernel, settings),
        plugins=[kernel],
    )
