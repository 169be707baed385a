"""The hot queries on 100,000 accounts, as the service sends them."""

import httpx
import pytest
from sqlalchemy import text

from microdemo_core.plugin import KernelPlugin
from microdemo_core.testing.plans import Plan, plan_of, statements_of, vacuum

from .conftest import Person

pytestmark = pytest.mark.anyio

_FILL = text("""
    INSERT INTO users (name, email, password_hash, preferences, role, is_active, created_at)
    SELECT 'User ' || i, 'User' || i || '@example.com', repeat('x', 97), '{"theme": "dark"}',
           CASE WHEN i % 5000 = 0 THEN 'admin' ELSE 'user' END, i % 10 <> 0, now() - i * interval '10 minutes'
    FROM generate_series(1, 100000) AS i
""")


@pytest.fixture
async def crowd(kernel: KernelPlugin, ada: Person) -> Person:
    """100,000 accounts over two years, 20 of them admins."""
    async with kernel.database.engine.begin() as connection:
        await connection.execute(_FILL)
    await vacuum(kernel.database, "users")
    return ada


async def plans(client: httpx.AsyncClient, kernel: KernelPlugin, path: str, headers: dict[str, str]) -> list[Plan]:
    """Of everything that the request sends, once the guard has the account in the cache."""
    await client.get("/me", headers=headers)
    async with statements_of(kernel.database) as sent:
        answer = await client.get(path, headers=headers)
    assert answer.status_code == 200
    assert sent, "the answer came from the cache"
    async with kernel.database.unit_of_work(read_only=True) as work:
        return [await plan_of(work.session, statement) for statement in sent]


async def test_hot_queries_use_their_indexes(client: httpx.AsyncClient, kernel: KernelPlugin, crowd: Person) -> None:
    """One fill for all of them. The list's total alone reads everything: counting all rows is that."""
    _, page = await plans(client, kernel, "/?limit=100", crowd.headers)
    assert page.uses_index("pk_users"), page
    assert not page.sorts, page

    _, admins = await plans(client, kernel, "/?role=admin", crowd.headers)
    assert admins.uses_index("ix_users_role_is_active"), admins

    _, newest = await plans(client, kernel, "/?sort=-created_at&limit=100", crowd.headers)
    assert newest.uses_index("ix_users_created_at"), newest

    _, walk = await plans(client, kernel, "/?cursor=WyJpZCIsWzUwMDAwLDUwMDAwXV0&limit=100", crowd.headers)
    assert walk.uses_index("pk_users"), walk
    assert not walk.sorts, walk

    (account,) = await plans(client, kernel, "/50000", crowd.headers)
    assert account.uses_index("pk_users"), account

    heads, recent = await plans(client, kernel, "/analytics", crowd.headers)
    assert heads.uses_index("ix_users_role_is_active"), heads
    assert recent.uses_index("ix_users_created_at"), recent

    (signups,) = await plans(client, kernel, "/analytics/timeseries?days=30", crowd.headers)
    assert signups.uses_index("ix_users_created_at"), signups

    async with statements_of(kernel.database) as sent:
        await client.post("/login", json={"email": "uSER50000@example.com", "password": "wrong password"})
    async with kernel.database.unit_of_work(read_only=True) as work:
        login = await plan_of(work.session, sent[0])
    assert login.uses_index("uq_users_email_lower"), login

    async with statements_of(kernel.database) as sent:
        await client.delete("/50000", headers=crowd.headers)
    async with kernel.database.unit_of_work() as work:
        admins_locked, *_ = [await plan_of(work.session, statement) for statement in sent]
    assert admins_locked.uses_index("ix_users_role_is_active"), admins_locked

    async with statements_of(kernel.database) as sent:
        rows = "".join(f"Renamed,user{n}@example.com\n" for n in range(1, 100_000, 250))
        files = {"file": ("users.csv", f"name,email\n{rows}".encode(), "text/csv")}
        await client.post("/import/csv", files=files, headers=crowd.headers)
    async with kernel.database.unit_of_work() as work:
        _, looked_up, *_ = [await plan_of(work.session, statement) for statement in sent]
    assert looked_up.uses_index("uq_users_email_lower"), looked_up
