"""Cache-aside over Redis: encoded bytes, leases against stale fills, and no error when Redis is away.

    read      GET ─ hit ──────────────────────────────────────────→ bytes
               └─ miss ─ take the lease ─ load ─ fill, if the lease still stands → bytes
    commit    invalidate: delete entries (and with them their leases), renew namespaces
    away      load, and nothing else; 5 failures in a row and Redis is not even asked for 0.5 s

A writer's delete also deletes the lease, so what a reader loaded before the commit is not stored after it. What
remains is the time between a COMMIT and its delete, and a process killed in between: then the TTL is the bound.
"""

from microdemo_core.cache.keys import format_key
from microdemo_core.cache.reads import CachedRead, HasCache, cached
from microdemo_core.cache.store import Cache

__all__ = ("Cache", "CachedRead", "HasCache", "cached", "format_key")
