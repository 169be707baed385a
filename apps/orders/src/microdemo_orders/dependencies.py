"""How handlers get what they work with."""

from litestar.di import NamedDependency

from microdemo_core.auth import TokenSigner
from microdemo_core.cache import Cache
from microdemo_core.clients import Peer
from microdemo_core.db import Database
from microdemo_core.dependencies import Caller
from microdemo_orders.analytics import Analytics
from microdemo_orders.changing import Changing
from microdemo_orders.customers import Customers
from microdemo_orders.gate import Gate
from microdemo_orders.intent import Actor
from microdemo_orders.placing import Placing
from microdemo_orders.reads import Reads
from microdemo_orders.settling import Settler
from microdemo_orders.stock import Stock
from microdemo_orders.transfer import OrderImport

__all__ = (
    "provide_analytics",
    "provide_changing",
    "provide_customers",
    "provide_order_import",
    "provide_placing",
    "provide_reads",
    "provide_settler",
    "provide_stock",
)


async def provide_stock(inventory: NamedDependency[Peer], signer: NamedDependency[TokenSigner]) -> Stock:
    return Stock(inventory, signer)


async def provide_customers(users: NamedDependency[Peer], signer: NamedDependency[TokenSigner]) -> Customers:
    return Customers(users, signer)


async def provide_settler(database: NamedDependency[Database], stock: NamedDependency[Stock]) -> Settler:
    return Settler(database, stock)


async def provide_placing(
    database: NamedDependency[Database],
    settler: NamedDependency[Settler],
    customers: NamedDependency[Customers],
    stock: NamedDependency[Stock],
    gate: NamedDependency[Gate],
) -> Placing:
    return Placing(database, settler, customers, stock, gate)


async def provide_changing(
    database: NamedDependency[Database], settler: NamedDependency[Settler], customers: NamedDependency[Customers]
) -> Changing:
    return Changing(database, settler, customers)


async def provide_order_import(
    database: NamedDependency[Database],
    settler: NamedDependency[Settler],
    changing: NamedDependency[Changing],
    stock: NamedDependency[Stock],
    principal: Caller,
) -> OrderImport:
    return OrderImport(database, settler, changing, stock, Actor.of(principal))


async def provide_reads(cache: NamedDependency[Cache], database: NamedDependency[Database]) -> Reads:
    return Reads(cache, database)


async def provide_analytics(cache: NamedDependency[Cache], database: NamedDependency[Database]) -> Analytics:
    return Analytics(cache, database)
