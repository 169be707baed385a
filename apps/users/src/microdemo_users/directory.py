"""Accounts as they are read: through the cache, encoded, without a database connection on a hit.

Redis away: each read asks the database, in one statement without a transaction.
"""

from typing import Final

import msgspec
from sqlalchemy import select

from microdemo_core.cache import Cache, cached
from microdemo_core.db import Database, EncodedListing, PageRequest, UnitOfWork
from microdemo_users import models
from microdemo_users.repository import UserRepository
from microdemo_users.schemas import Role, User

__all__ = ("ACCOUNTS", "USERS", "Directory", "forget", "read_user")

USERS: Final = "users:users"
"""The namespace of all that is read about more than one account."""

ACCOUNTS: Final = "users:accounts"
"""The namespace of every single account, for an import: it changes thousands."""

_USER = tuple(getattr(models.User, name) for name in User.__struct_fields__)


class Directory:
    def __init__(self, cache: Cache, database: Database) -> None:
        self.cache = cache
        self._database = database

    @cached("users:account:{user_id}", ttl_seconds=30, negative_ttl_seconds=5, namespace=ACCOUNTS)
    async def account(self, user_id: int) -> User | None:
        """Asked for with every token, so it is one Core statement and no more."""
        async with self._database.unit_of_work(read_only=True) as work:
            row = (await work.session.execute(select(*_USER).where(models.User.id == user_id))).one_or_none()
        return None if row is None else msgspec.convert(row._asdict(), User)

    @cached("users:list:{page}:{q}:{role}:{is_active}", ttl_seconds=30, namespace=USERS)
    async def page(
        self, page: PageRequest, *, q: str | None, role: Role | None, is_active: bool | None
    ) -> EncodedListing:
        async with self._database.unit_of_work(read_only=True) as work:
            listing = await UserRepository(session=work.session).page(page, q=q, role=role, is_active=is_active)
        return listing.encoded(read_user)


def read_user(row: models.User) -> User:
    return msgspec.convert(row, User, from_attributes=True)


def forget(work: UnitOfWork, *user_ids: int) -> None:
    """After the commit: what is remembered of these accounts, and whatever they are counted in."""
    # An id that did not exist until now may be remembered as unknown.
    work.invalidate(*(Directory.account.key(user_id) for user_id in user_ids), namespaces=(USERS,))
