"""The users database: what of the demo's accounts is there, and how the rest gets in. Nobody's row is overwritten."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
import msgspec

from microdemo_core.auth import Passwords
from microdemo_demo.batches import Batch
from microdemo_demo.loading import copy_rows
from microdemo_demo.people import ADMIN, BOB, PASSWORD, PEOPLE, Person, shoppers
from microdemo_demo.plan import Buyer
from microdemo_users.models import User

__all__ = ("Accounts", "Opened", "add_people", "add_shoppers", "read_people")

_IDS: Final = [person.id for person in PEOPLE]
_EMAILS: Final = {person.id: person.email for person in PEOPLE}
_LAST_GIVEN: Final = "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {sequence}"
_BOB_COUNTS: Final = 3


class Opened(NamedTuple):
    """The ids of new accounts, and a sentence about each that was not made and does not look like ours."""

    added: list[int]
    skipped: list[str]


class Accounts(NamedTuple):
    """Demo accounts as they are now: ``buyers`` in the order of their signing up, ``admin`` if it is ours."""

    buyers: list[Buyer]
    admin: int | None


async def add_people(connection: asyncpg.Connection, anchor: datetime) -> Opened:
    """The accounts that are not there, unless their id was given to somebody else, or their address is in use."""
    hashes = await _hashed((await _look(connection))[0])
    async with connection.transaction():
        # No account can be opened meanwhile, so no id is drawn either.
        await connection.execute(f"LOCK TABLE {User.__tablename__} IN SHARE ROW EXCLUSIVE MODE")
        people, skipped = await _look(connection)
        added = [person for person in people if person.id in hashes]
        if added:
            await _write(connection, added, hashes, anchor)
    return Opened([person.id for person in added], skipped)


async def read_people(connection: asyncpg.Connection) -> Accounts:
    found = await connection.fetch("SELECT id, email, created_at FROM users WHERE id = ANY ($1) AND is_active", _IDS)
    ours = [row for row in found if _is_ours(row["id"], row["email"])]
    buyers = [Buyer(row["created_at"], row["id"]) for row in ours if row["id"] != ADMIN.id]
    # So that the account to try things out with has something to show.
    buyers += [buyer for buyer in buyers if buyer.user_id == BOB.id] * (_BOB_COUNTS - 1)
    return Accounts(sorted(buyers), ADMIN.id if any(row["id"] == ADMIN.id for row in ours) else None)


async def add_shoppers(connection: asyncpg.Connection, batch: Batch) -> tuple[list[Buyer], int]:
    """The batch's own customers, those that are there already among them, and how many are new."""
    wanted = shoppers(batch.first, batch.shoppers, batch.opens, batch.anchor)
    emails = [shopper.email for shopper in wanted]
    async with connection.transaction():
        added = await connection.fetch(
            """
            INSERT INTO users (name, email, created_at, updated_at)
            SELECT name, email, at, at FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS n (name, email, at)
            ON CONFLICT DO NOTHING RETURNING id
            """,
            [shopper.name for shopper in wanted],
            emails,
            [shopper.signed_up for shopper in wanted],
        )
    found = await connection.fetch("SELECT created_at, id FROM users WHERE lower(email) = ANY ($1)", emails)
    return sorted(Buyer(row["created_at"], row["id"]) for row in found), len(added)


def _is_ours(user_id: int, email: str) -> bool:
    return _EMAILS.get(user_id) == email.lower()


async def _look(connection: asyncpg.Connection) -> tuple[list[Person], list[str]]:
    """Whom to add, and why not the others."""
    sequence = await connection.fetchval("SELECT pg_get_serial_sequence('users', 'id')")
    last_given = await connection.fetchval(_LAST_GIVEN.format(sequence=sequence))
    found = await connection.fetch(
        "SELECT id, lower(email) AS email FROM users WHERE id = ANY ($1) OR lower(email) = ANY ($2)",
        _IDS,
        list(_EMAILS.values()),
    )
    by_id = {row["id"]: row["email"] for row in found}
    by_email = {row["email"]: row["id"] for row in found}
    missing, skipped = [], []
    for person in PEOPLE:
        if by_id.get(person.id) == person.email:
            continue
        if person.id in by_id:
            skipped.append(f"{person.email} was not added: account {person.id} is somebody else's, or was changed.")
        elif person.email in by_email:
            skipped.append(f"{person.email} was not added: account {by_email[person.email]} has this address.")
        elif person.id <= last_given:
            skipped.append(f"{person.email} was not added: there was an account {person.id}, and it was deleted.")
        else:
            missing.append(person)
    return missing, skipped


async def _hashed(people: Sequence[Person]) -> dict[int, str]:
    """The password, with a salt for each. It takes half a second: not while the table is locked."""
    if not people:
        return {}
    passwords = Passwords()
    try:
        hashes = await asyncio.gather(*(passwords.hash(PASSWORD) for _ in people))
    finally:
        await passwords.aclose()
    return {person.id: hash_ for person, hash_ in zip(people, hashes, strict=True)}


async def _write(
    connection: asyncpg.Connection, people: Sequence[Person], hashes: dict[int, str], anchor: datetime
) -> None:
    columns = (
        *(User.id, User.name, User.email, User.password_hash, User.role, User.is_active, User.preferences),
        *(User.created_at, User.updated_at),
    )
    rows = (
        (
            *(person.id, person.name, person.email, hashes[person.id], person.role, person.is_active),
            msgspec.json.encode(person.preferences).decode(),
            *(person.signed_up(anchor), person.signed_up(anchor)),
        )
        for person in people
    )
    await copy_rows(connection, columns, rows)
    sequence = await connection.fetchval("SELECT pg_get_serial_sequence('users', 'id')")
    last_given = await connection.fetchval(_LAST_GIVEN.format(sequence=sequence))
    if last_given < max(_IDS):
        # Not setval(), which no rollback takes back.
        await connection.execute(f"ALTER SEQUENCE {sequence} RESTART WITH {max(_IDS) + 1}")
