"""How handlers get what they work with."""

from litestar.di import NamedDependency

from microdemo_core.cache import Cache
from microdemo_core.db import Database
from microdemo_core.dependencies import Caller, Work
from microdemo_inventory.analytics import Analytics
from microdemo_inventory.catalogue import Catalogue
from microdemo_inventory.reservations.service import Reservations
from microdemo_inventory.stock import Stock

__all__ = ("provide_analytics", "provide_catalogue", "provide_items", "provide_reservations")


async def provide_analytics(cache: NamedDependency[Cache], database: NamedDependency[Database]) -> Analytics:
    return Analytics(cache, database)


async def provide_catalogue(cache: NamedDependency[Cache], database: NamedDependency[Database]) -> Catalogue:
    return Catalogue(cache, database)


async def provide_reservations(database: NamedDependency[Database]) -> Reservations:
    return Reservations(database)


async def provide_items(uow: Work, principal: Caller) -> Stock:
    return Stock(uow, by=principal.user_id)
