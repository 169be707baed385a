"""What the running services remember of a time before the demo data, which they would go on answering for 30 s."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from microdemo_core.cache import Cache
from microdemo_inventory.catalogue import ITEMS, Catalogue
from microdemo_orders.repository import entry_of, namespace_of
from microdemo_users.directory import ACCOUNTS, USERS, Directory

__all__ = ("forget_items", "forget_orders", "forget_users")

# The number of each service's Redis database.
_DATABASES: Final = {"users": 0, "orders": 1, "inventory": 2}
# Nobody waits for it, and a Redis at work on a thousand keys is no Redis that is away.
_TIMEOUT_SECONDS: Final = 2.0
_AT_ONCE: Final = 1_000


async def forget_users(redis_url: str, ids: Iterable[int]) -> bool:
    """Whether Redis was there to be told, here and below."""
    keys = [Directory.account.key(user_id) for user_id in ids]
    return await _forget(redis_url, "users", keys, [USERS, ACCOUNTS])


async def forget_items(redis_url: str, items: Iterable[tuple[int, str]]) -> bool:
    keys = [key for item_id, sku in items for key in (Catalogue.item.key(item_id), Catalogue.item_by_sku.key(sku))]
    return await _forget(redis_url, "inventory", keys, [ITEMS])


async def forget_orders(redis_url: str, ids: Iterable[str], user_ids: Iterable[int]) -> bool:
    """Orders that somebody may have asked for in vain, and lists and statistics of these users and of all."""
    namespaces = [namespace_of("all"), *(namespace_of(str(user_id)) for user_id in set(user_ids))]
    return await _forget(redis_url, "orders", map(entry_of, ids), namespaces)


async def _forget(redis_url: str, service: str, keys: Iterable[str], namespaces: Sequence[str]) -> bool:
    cache = Cache(f"{redis_url}/{_DATABASES[service]}", service=service, timeout_seconds=_TIMEOUT_SECONDS)
    try:
        if not await cache.ping():
            return False
        rest = iter(keys)
        while some := list(islice(rest, _AT_ONCE)):
            await cache.invalidate(some)
        await cache.invalidate((), namespaces)
        return await cache.ping()
    finally:
        await cache.aclose()
