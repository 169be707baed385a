"""The orders service: orders placed and changed together with inventory, their audit trail, statistics and CSV."""

from pathlib import Path
from typing import Final

from litestar import Litestar
from litestar.di import Provide

from microdemo_core.plugin import KernelPlugin
from microdemo_orders import dependencies as provide
from microdemo_orders.controllers import AnalyticsController, OrderController, TransferController
from microdemo_orders.gate import Gate
from microdemo_orders.settings import OrdersSettings

__all__ = ("MIGRATIONS", "create_app")

MIGRATIONS: Final = Path(__file__).with_name("migrations")


def create_app(settings: OrdersSettings | None = None) -> Litestar:
    settings = settings or OrdersSettings.load()
    gate = Gate(settings.placing_at_once, wait_seconds=settings.placing_wait_seconds)
    return Litestar(
        [OrderController, AnalyticsController, TransferController],
        dependencies={
            "analytics": Provide(provide.provide_analytics),
            "changing": Provide(provide.provide_changing),
            "customers": Provide(provide.provide_customers),
            "gate": Provide(lambda: gate, use_cache=True, sync_to_thread=False),
            "order_import": Provide(provide.provide_order_import),
            "placing": Provide(provide.provide_placing),
            "reads": Provide(provide.provide_reads),
            "settler": Provide(provide.provide_settler),
            "stock": Provide(provide.provide_stock),
        },
        plugins=[
            KernelPlugin(
                settings,
                name="orders",
                migrations=MIGRATIONS,
                peers={
                    "users": (settings.users_url, settings.users_timeout_seconds),
                    "inventory": (settings.inventory_url, settings.inventory_timeout_seconds),
                },
            )
        ],
    )
