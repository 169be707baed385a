"""What handlers ask for by name. It knows of no request, so it is made once, and a request resolves but one name."""

from typing import Any

from litestar.di import Provide

from microdemo_core.dependencies import Caller
from microdemo_core.plugin import KernelPlugin
from microdemo_orders.analytics import Analytics
from microdemo_orders.changing import Changing
from microdemo_orders.customers import Customers
from microdemo_orders.gate import Gate
from microdemo_orders.intent import Actor
from microdemo_orders.placing import Placing
from microdemo_orders.reads import Reads
from microdemo_orders.settings import OrdersSettings
from microdemo_orders.settling import Settler
from microdemo_orders.stock import Stock
from microdemo_orders.transfer import OrderImport

__all__ = ("dependencies",)


def dependencies(kernel: KernelPlugin, settings: OrdersSettings) -> dict[str, Provide]:
    database, cache = kernel.database, kernel.cache
    customers = Customers(kernel.peers["users"], kernel.signer)
    stock = Stock(kernel.peers["inventory"], kernel.signer)
    settler = Settler(database, stock)
    changing = Changing(database, settler, customers)
    gate = Gate(settings.placing_at_once, wait_seconds=settings.placing_wait_seconds)

    async def provide_order_import(principal: Caller) -> OrderImport:
        """One for each file."""
        return OrderImport(database, settler, changing, stock, Actor.of(principal))

    return {
        "analytics": _constant(Analytics(cache, database)),
        "changing": _constant(changing),
        "order_import": Provide(provide_order_import),
        "placing": _constant(Placing(database, settler, customers, stock, gate)),
        "reads": _constant(Reads(cache, database)),
    }


def _constant(value: Any) -> Provide:
    return Provide(lambda: value, use_cache=True, sync_to_thread=False)
