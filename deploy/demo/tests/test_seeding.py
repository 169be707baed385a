"""The demo in three real databases: the same at every run, consistent, and nobody's rows touched."""

from collections import Counter
from datetime import timedelta

import pytest

from microdemo_core.auth import Passwords
from microdemo_demo.environment import Databases
from microdemo_demo.errors import DemoError

from .conftest import NOW, Seed, check, contents, empty

pytestmark = pytest.mark.anyio


async def test_first_run_loads_what_the_contract_promises(seed: Seed, databases: Databases) -> None:
    """Accounts 1 to 25, 40 SKUs, fewer than 500 orders of which several are Bob's, all of it consistent."""
    seeded = await seed()
    assert seeded.said == ["users: 25 accounts added", "inventory: 40 SKUs added"]
    accounts = await databases.users.fetch("SELECT id, email, role, is_active FROM users ORDER BY id")
    assert [row["id"] for row in accounts] == list(range(1, 26))
    assert tuple(accounts[0].values()) == (1, "admin@test.com", "admin", True)
    assert tuple(accounts[1].values()) == (2, "bob@example.com", "user", True)
    item = await databases.inventory.fetchrow("SELECT id, qty, price::text FROM items WHERE sku = 'SKU-001'")
    assert tuple(item.values()) == (1, 200, "10.00")
    assert await databases.inventory.fetchval("SELECT count(*) FROM items WHERE price > 0 AND name <> ''") == 40
    by_user = Counter(row["user_id"] for row in await databases.orders.fetch("SELECT user_id FROM orders"))
    assert by_user.total() == seeded.added == 460
    assert by_user[2] == max(by_user.values()) > 30
    assert not by_user.keys() & {1, *(row["id"] for row in accounts if not row["is_active"])}
    await check(databases)


async def test_second_run_adds_nothing(seed: Seed, databases: Databases) -> None:
    """Neither on the same day nor a month later is a row added or changed."""
    await seed()
    before = await contents(databases)
    for now in (NOW + timedelta(seconds=1), NOW + timedelta(days=30)):
        again = await seed(now=now)
        assert (again.added, again.said) == (0, [])
    assert await contents(databases) == before


async def test_contents_follow_from_the_moment_alone(
    seed: Seed, databases: Databases, environment: dict[str, str]
) -> None:
    """Two empty systems that are seeded at the same moment are the same, row by row."""
    await seed(700)
    first = await contents(databases)
    await empty(environment)
    await seed(700)
    assert await contents(databases) == first


async def test_every_account_has_the_published_password_and_its_own_salt(seed: Seed, databases: Databases) -> None:
    """The hashes verify password123 with the parameters in force, and no two are equal."""
    await seed()
    hashes = [row[0] for row in await databases.users.fetch("SELECT password_hash FROM users")]
    assert len(set(hashes)) == 25
    passwords = Passwords()
    for stored in hashes[:3]:
        verified = await passwords.verify(stored, "password123")
        assert (verified.ok, verified.rehashed) == (True, None)
    await passwords.aclose()


async def test_next_account_gets_the_next_id(seed: Seed, databases: Databases) -> None:
    """The ids that were written explicitly are not drawn again."""
    await seed()
    register = "INSERT INTO users (name, email) VALUES ('New', 'new@example.com') RETURNING id"
    assert await databases.users.fetchval(register) == 26


async def test_scale_run_tops_up(seed: Seed, databases: Databases) -> None:
    """Exactly so many orders, by more customers, the first ones unchanged; a second run adds nothing."""
    await seed()
    before = await contents(databases)
    seeded = await seed(5_000, NOW + timedelta(days=1))
    assert seeded.added == 4_540
    assert seeded.said[-1].startswith("orders: 5,000 of 5,000, ")
    assert await databases.orders.fetchval("SELECT count(*) FROM orders") == 5_000
    assert await databases.users.fetchval("SELECT count(*) FROM users") == 25 + 46
    after = await contents(databases)
    assert all(set(rows) <= set(after[table]) for table, rows in before.items())
    await check(databases)
    assert (await seed(5_000, NOW + timedelta(days=2))).added == 0
    assert await contents(databases) == after


async def test_scale_run_continues_another(seed: Seed, databases: Databases) -> None:
    """More orders can be asked for at any time; fewer change nothing."""
    assert (await seed(1_000)).added == 1_000
    assert (await seed(2_000)).added == 1_000
    assert (await seed(500)).added == 0
    assert await databases.orders.fetchval("SELECT count(*) FROM orders") == 2_000
    await check(databases)


async def test_accounts_of_others_are_left_alone(seed: Seed, databases: Databases) -> None:
    """Somebody who registered first keeps id and address; it is said, and no order is put to them."""
    await databases.users.execute(
        """
        INSERT INTO users (id, name, email, created_at) VALUES
            (3, 'Early', 'early@example.org', $1), (77, 'Dan', 'Daniel.Okafor@example.com', $1)
        """,
        NOW - timedelta(days=365),
    )
    before = await databases.users.fetch("SELECT * FROM users ORDER BY id")
    seeded = await seed()
    assert seeded.said[:3] == [
        "users: carol.nguyen@example.com was not added: account 3 is somebody else's, or was changed.",
        "users: daniel.okafor@example.com was not added: account 77 has this address.",
        "users: 23 accounts added",
    ]
    assert await databases.users.fetch("SELECT * FROM users WHERE id IN (3, 77) ORDER BY id") == before
    assert await databases.orders.fetchval("SELECT count(*) FROM orders WHERE user_id IN (3, 4, 77)") == 0
    assert await databases.orders.fetchval("SELECT count(*) FROM orders") == 460


async def test_ids_that_were_given_out_are_not_given_again(seed: Seed, databases: Databases) -> None:
    """A demo account that was deleted stays deleted, and one that registered and left keeps its id to itself."""
    await seed()
    await databases.users.execute("DELETE FROM users WHERE id = 9")
    again = await seed()
    assert again.said == ["users: ines.carvalho@example.com was not added: there was an account 9, and it was deleted."]
    assert await databases.users.fetchval("SELECT count(*) FROM users") == 24


async def test_without_any_demo_account_there_are_no_orders(seed: Seed, databases: Databases) -> None:
    """Where all 25 ids are taken, nobody is there to have ordered anything, and it is said."""
    await databases.users.execute(
        "INSERT INTO users (name, email) SELECT 'Early', n || '@example.org' FROM generate_series(1, 25) n"
    )
    with pytest.raises(DemoError, match="nobody to have ordered"):
        await seed()
    assert await databases.inventory.fetchval("SELECT count(*) FROM items") == 0


async def test_items_of_others_are_left_alone(seed: Seed, databases: Databases) -> None:
    """A SKU that is there keeps its quantity and its price, it is said, and the books balance all the same."""
    await databases.inventory.execute("INSERT INTO items (sku, qty) VALUES ('SKU-002', 5)")
    await databases.inventory.execute(
        "INSERT INTO stock_adjustments (sku, delta, reason) VALUES ('SKU-002', 5, 'mine')"
    )
    before = await databases.inventory.fetchrow("SELECT * FROM items")
    seeded = await seed()
    assert "inventory: SKU-002 were there already; left as they are" in seeded.said
    assert await databases.inventory.fetchrow("SELECT * FROM items WHERE sku = 'SKU-002'") == before
    await check(databases)


async def test_order_ids_of_others_are_left_alone(seed: Seed, databases: Databases) -> None:
    """An order, or a mere reservation, under one of the demo's ids is not touched, and the demo does without it."""
    await databases.orders.execute(
        """
        INSERT INTO orders (id, user_id, status, total, items, saga, version)
        VALUES ('DEMO-0000007', 9, 'cancelled', 1, '[{"sku": "X", "quantity": 1, "price": "1.00"}]', 'none', 1)
        """
    )
    await databases.inventory.execute(
        "INSERT INTO reservations (order_id, epoch, state) VALUES ('DEMO-0000011', 0, 'released')"
    )
    seeded = await seed()
    assert seeded.added == 458
    assert "orders: 2 ids from DEMO-0000007 to DEMO-0000011 are in use; left as they are" in seeded.said
    assert await databases.orders.fetchval("SELECT user_id FROM orders WHERE id = 'DEMO-0000007'") == 9
    assert not await databases.orders.fetchval("SELECT true FROM orders WHERE id = 'DEMO-0000011'")
    assert not await databases.inventory.fetchval("SELECT true FROM reservations WHERE order_id = 'DEMO-0000007'")
    assert (await seed()).added == 0
