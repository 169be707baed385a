"""The whole: accounts, then the catalogue, then orders batch by batch, each first at inventory and then in orders.

There is no transaction over three databases. A run that is killed leaves each database with whole transactions; at
worst a batch's pieces are held at inventory for orders that nobody has seen yet. The next run reads from the ledger
which batches there are and as of when, makes the same orders again, and writes those that are missing.

What is there is never changed, so a run on a later day adds nothing, and the default orders end on the day of their
making. A batch that is asked for later ends on its own day.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from microdemo_demo import caches
from microdemo_demo.accounts import Accounts, add_people, add_shoppers, read_people
from microdemo_demo.batches import Batch, missing_batches
from microdemo_demo.environment import Databases
from microdemo_demo.errors import DemoError
from microdemo_demo.history import add_orders, known_ids
from microdemo_demo.loading import tidy_up
from microdemo_demo.plan import Buyer, Order, plan
from microdemo_demo.stock import add_articles, add_reservations, read_batches, reserved_by_us, reserved_ids
from microdemo_inventory.models import Item, StockAdjustment
from microdemo_inventory.reservations.models import ReservationLineRow, ReservationRow
from microdemo_orders.models import EventRow, OrderRow
from microdemo_users.models import User

__all__ = ("Seeder",)

_LOCK: Final = 0x64656D6F  # "demo"


class Seeder:
    """``say`` takes one line of progress at a time; ``redis_url`` is None where no service runs."""

    def __init__(self, databases: Databases, say: Callable[[str], None], *, redis_url: str | None = None) -> None:
        self._databases = databases
        self._say = say
        self._redis_url = redis_url
        self._is_redis_away = False

    async def seed(self, orders: int, now: datetime) -> int:
        """Adds what is missing to the demo with so many orders (the default ones at least); how many orders it added.

        Raises: DemoError.
        """
        await self._take_turns()
        await self._open_accounts(now)
        accounts = await read_people(self._databases.users)
        batches = await read_batches(self._databases.inventory)
        started, added, total = time.monotonic(), 0, max(orders, 0)
        for batch in batches:
            added += await self._finish(batch, accounts)
        for batch in missing_batches(batches, orders, now):
            added += await self._add(batch, accounts)
            if not batch.is_default:
                rate = added / (time.monotonic() - started)
                self._say(f"orders: {batch.last:,} of {total:,}, {rate:,.0f} a second")
        if added:
            await self._tidy_up()
        return added

    async def _take_turns(self) -> None:
        """Until the connection is closed: two seeders at once would make the same batches."""
        if not await self._databases.inventory.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
            self._say("another run is at work; waiting for it to end")
            await self._databases.inventory.execute("SELECT pg_advisory_lock($1)", _LOCK)

    async def _open_accounts(self, now: datetime) -> None:
        opened = await add_people(self._databases.users, now)
        for sentence in opened.skipped:
            self._say(f"users: {sentence}")
        if opened.added:
            self._say(f"users: {len(opened.added)} accounts added")
            if self._redis_url:
                self._told(await caches.forget_users(self._redis_url, opened.added))

    async def _add(self, batch: Batch, accounts: Accounts) -> int:
        """A batch that is not there. Ids that somebody has used are left out."""
        databases = self._databases
        buyers = await self._buyers(batch, accounts)
        used = await reserved_ids(databases.inventory, batch) | await known_ids(databases.orders, batch)
        if used:
            self._say(f"orders: {len(used)} ids from {min(used)} to {max(used)} are in use; left as they are")
        orders = [order for order in plan(batch, buyers) if order.id not in used]
        async with databases.inventory.transaction():
            if batch.is_default:
                items, skipped = await add_articles(databases.inventory, batch.opens)
            await add_reservations(databases.inventory, batch, orders, accounts.admin)
        if batch.is_default:
            await self._tell_about_items(items, skipped)
        await self._add_orders(orders, accounts)
        return len(orders)

    async def _finish(self, batch: Batch, accounts: Accounts) -> int:
        """The orders of a batch that inventory has and orders may not have: they are written in one transaction."""
        databases = self._databases
        first = await reserved_by_us(databases.inventory, batch, limit=1)
        if not first or await known_ids(databases.orders, first):
            return 0
        ours = set(await reserved_by_us(databases.inventory, batch))
        missing = ours - await known_ids(databases.orders, batch)
        buyers = await self._buyers(batch, accounts)
        orders = [order for order in plan(batch, buyers) if order.id in missing]
        await self._add_orders(orders, accounts)
        self._say(f"orders: finished what an earlier run had begun, {batch.id_range[0]} to {batch.id_range[1]}")
        return len(orders)

    async def _buyers(self, batch: Batch, accounts: Accounts) -> list[Buyer]:
        """Raises: DemoError, if none of the demo's accounts is there."""
        buyers = accounts.buyers
        if not batch.is_default:
            own, added = await add_shoppers(self._databases.users, batch)
            buyers = sorted(buyers + own)
            if added and self._redis_url:
                self._told(await caches.forget_users(self._redis_url, [buyer.user_id for buyer in own]))
        if not buyers:
            raise DemoError("None of the demo's accounts could be added, so there is nobody to have ordered anything.")
        return buyers

    async def _add_orders(self, orders: Sequence[Order], accounts: Accounts) -> None:
        await add_orders(self._databases.orders, orders, accounts.admin)
        if self._redis_url and orders:
            ids, user_ids = (order.id for order in orders), (order.user_id for order in orders)
            self._told(await caches.forget_orders(self._redis_url, ids, user_ids))

    async def _tell_about_items(self, items: Sequence[tuple[int, str]], skipped: Sequence[str]) -> None:
        if items:
            self._say(f"inventory: {len(items)} SKUs added")
        if skipped:
            self._say(f"inventory: {', '.join(skipped)} were there already; left as they are")
        if self._redis_url and items:
            self._told(await caches.forget_items(self._redis_url, items))

    def _told(self, was_there: bool) -> None:  # noqa: FBT001 - it is all there is to say
        if not was_there and not self._is_redis_away:
            self._is_redis_away = True
            self._say("Redis does not answer: services that run may show the time before for 30 seconds more")

    async def _tidy_up(self) -> None:
        await tidy_up(self._databases.users, User)
        await tidy_up(self._databases.inventory, Item, StockAdjustment, ReservationRow, ReservationLineRow)
        await tidy_up(self._databases.orders, OrderRow, EventRow)
