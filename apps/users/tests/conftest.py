"""The users service as the kernel's fixtures see it, and the people in it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
from msgspec import Struct
from sqlalchemy import text

from microdemo_core.auth import PARAMETERS
from microdemo_core.plugin import KernelPlugin
from microdemo_core.testing.service import ServiceUnderTest
from microdemo_core.testing.tokens import Tokens
from microdemo_users.app import MIGRATIONS, create_app
from microdemo_users.models import User
from microdemo_users.schemas import Role
from microdemo_users.settings import UsersSettings

PASSWORD = "correct horse battery"
PASSWORD_HASH = PARAMETERS.hash(PASSWORD)


class Person(Struct, frozen=True):
    """``headers`` carry a token as the service would have signed it at this moment."""

    id: int
    name: str
    email: str
    headers: dict[str, str]


AddPerson = Callable[..., Coroutine[Any, Any, Person]]


@pytest.fixture(scope="session")
def service() -> ServiceUnderTest:
    return ServiceUnderTest("users", create_app, UsersSettings, MIGRATIONS)


@pytest.fixture
def add_person(client: httpx.AsyncClient, kernel: KernelPlugin, tokens: Tokens) -> AddPerson:
    """Writes an account straight into the table; its password is PASSWORD."""

    async def add(
        name: str,
        *,
        role: Role = "user",
        email: str | None = None,
        is_active: bool = True,
        password_hash: str | None = PASSWORD_HASH,
        created_at: datetime | None = None,
    ) -> Person:
        user = User(
            name=name,
            email=email or f"{name.lower()}@example.com",
            role=role,
            is_active=is_active,
            password_hash=password_hash,
            **({"created_at": created_at} if created_at else {}),
        )
        async with kernel.database.unit_of_work() as work:
            work.session.add(user)
        headers = tokens.admin(user.id) if role == "admin" else tokens.user(user.id)
        return Person(user.id, user.name, user.email, headers)

    return add


@pytest.fixture
async def ada(add_person: AddPerson) -> Person:
    """An admin, and the first account."""
    return await add_person("Ada", role="admin")


@pytest.fixture
async def bob(ada: Person, add_person: AddPerson) -> Person:
    """An ordinary user."""
    return await add_person("Bob")


@pytest.fixture
def admin(ada: Person) -> dict[str, str]:
    return ada.headers


def field_errors(answer: httpx.Response) -> list[str]:
    """The fields that a 422 names."""
    assert answer.status_code == 422, answer.text
    return [error["field"] for error in answer.json()["errors"]]


@asynccontextmanager
async def ahead_of(count: int, statement: str, kernel: KernelPlugin) -> AsyncIterator[None]:
    """Runs ``statement`` first, and commits it once ``count`` others wait for its locks: an interleaving, forced."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with kernel.database.engine.begin() as connection:
        await connection.execute(text(statement))
        yield
        async with asyncio.timeout(5):
            while await connection.scalar(waiting) != count:
                # Within a transaction the view does not move by itself.
                await connection.execute(text("SELECT pg_stat_clear_snapshot()"))
                await asyncio.sleep(0.01)
