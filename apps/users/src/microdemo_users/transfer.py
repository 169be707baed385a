"""Accounts as CSV. An import is one transaction: what it reports is what was done, or all of it is undone."""

from collections.abc import AsyncIterator

import msgspec

from microdemo_core.csv import CsvReader, Row
from microdemo_core.db import Database, UnitOfWork
from microdemo_core.problems import Invalid
from microdemo_users.directory import ACCOUNTS, USERS
from microdemo_users.errors import ImportRunning
from microdemo_users.models import User
from microdemo_users.repository import UserRepository
from microdemo_users.schemas import Email, Name, Role
from microdemo_users.texts import clean_email, clean_name

__all__ = ("EXPORTED", "UserImport", "UserRow", "export_rows")

EXPORTED = ("id", "name", "email", "role", "is_active", "created_at")
_EXPORT_STEP = 1000


class UserRow(msgspec.Struct, frozen=True):
    """None leaves what is stored; for a new account it is role ``user``, active."""

    name: Name
    email: Email
    role: Role | None = None
    is_active: bool | None = None


async def export_rows(database: Database) -> AsyncIterator[tuple[object, ...]]:
    """Every account by id, in steps, so that no connection waits for a slow reader."""
    last = 0
    while True:
        async with database.unit_of_work(read_only=True) as work:
            rows = await UserRepository(session=work.session).columns_after(last, EXPORTED, limit=_EXPORT_STEP)
        for row in rows:
            yield row
        if len(rows) < _EXPORT_STEP:
            return
        last = rows[-1][0]


class UserImport:
    """Creates and updates by address, batch by batch; in its own transaction, to be committed or rolled back whole."""

    def __init__(self, work: UnitOfWork, reader: CsvReader[UserRow]) -> None:
        self.created = self.updated = self.unchanged = 0
        self._work = work
        self._reader = reader
        self._users = UserRepository(session=work.session)
        self._lines: dict[str, int] = {}
        self._admins: set[int] | None = None

    async def execute(self, *, dry_run: bool) -> None:
        """A dry run does all of it, so that it counts what the import will count, and rolls back.

        Raises: ImportRunning, PayloadTooLarge.
        """
        if not await self._users.lock_imports():
            raise ImportRunning
        async for batch in self._reader.batches():
            rows = self._clean(batch)
            if not rows:
                continue
            stored = {user.email.lower(): user for user in await self._users.lock_with_emails(list(rows))}
            # First the new ones: an admin among them lets the file take the old one's rights away.
            await self._create([row for email, row in rows.items() if email not in stored])
            for email, row in rows.items():
                if user := stored.get(email):
                    await self._update(user, row)
            await self._work.session.flush()
            self._work.session.expunge_all()
        if dry_run:
            await self._work.session.rollback()
            return
        # Thousands of entries at once: their namespace is one key.
        self._work.invalidate(namespaces=(ACCOUNTS, USERS))

    def _clean(self, batch: list[Row[UserRow]]) -> dict[str, Row[UserRow]]:
        """Good rows by address in lower case; the second of two with one address is rejected."""
        rows: dict[str, Row[UserRow]] = {}
        for line, row in batch:
            try:
                clean = UserRow(clean_name(row.name), clean_email(row.email), row.role, row.is_active)
            except Invalid as error:
                for found in error.errors:
                    self._reader.reject(line, found.field, found.message)
                continue
            first = self._lines.setdefault(clean.email.lower(), line)
            if first != line:
                self._reader.reject(line, "email", f"this address is in line {first} already")
            else:
                rows[clean.email.lower()] = Row(line, clean)
        return rows

    async def _create(self, rows: list[Row[UserRow]]) -> None:
        created = await self._users.add_without_password(
            [
                {
                    "name": row.name,
                    "email": row.email,
                    "role": row.role or "user",
                    "is_active": row.is_active is not False,
                }
                for _, row in rows
            ]
        )
        self.created += len(created)
        for line, row in rows:
            if row.email not in created:
                self._reader.reject(line, "email", "somebody took this address while the import ran")
            elif self._admins is not None and row.role == "admin" and row.is_active is not False:
                self._admins.add(created[row.email])

    async def _update(self, user: User, row: Row[UserRow]) -> None:
        line, wanted = row
        role = wanted.role or user.role
        is_active = user.is_active if wanted.is_active is None else wanted.is_active
        if (wanted.name, wanted.email, role, is_active) == (user.name, user.email, user.role, user.is_active):
            self.unchanged += 1
            return
        was_admin, is_admin = (user.role == "admin" and user.is_active), (role == "admin" and is_active)
        if was_admin and not is_admin and not await self._may_lose(user.id):
            self._reader.reject(line, None, "this is the last active admin, who must stay one")
            return
        if is_admin and self._admins is not None:
            self._admins.add(user.id)
        user.name, user.email, user.role, user.is_active = wanted.name, wanted.email, role, is_active
        self.updated += 1

    async def _may_lose(self, user_id: int) -> bool:
        if self._admins is None:
            # The session flushes first, so those whom this file made admin are among them.
            self._admins = await self._users.lock_active_admins()
        if self._admins <= {user_id}:
            return False
        self._admins.discard(user_id)
        return True
