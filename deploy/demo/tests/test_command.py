"""The command: its environment, its words, and what is left when it is killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy import make_url

from microdemo_demo.cli import main
from microdemo_demo.environment import Databases

from .conftest import Seed, check

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process: its exit code, what it said, and what it complained of."""

    def run(environment: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
        for service in ("USERS", "ORDERS", "INVENTORY"):
            monkeypatch.delenv(f"{service}_DATABASE_URL", raising=False)
        for variable, value in {"ENVIRONMENT": "", "REDIS_URL": "", **environment}.items():
            monkeypatch.setenv(variable, value)
        code = main(arguments)
        return code, *capsys.readouterr()

    return run


@pytest.mark.usefixtures("emptied")
def test_command_says_what_it_did(run: Run, environment: dict[str, str]) -> None:
    """Exit code 0 and a few lines: what was added, then that nothing was."""
    assert run(environment) == (0, "users: 25 accounts added\ninventory: 40 SKUs added\norders: 460 added\n", "")
    assert run(environment, "--orders", "460") == (0, "The demo data is there; nothing was added.\n", "")


@pytest.mark.usefixtures("emptied")
def test_redis_away_is_said_once(run: Run, environment: dict[str, str]) -> None:
    """The data is loaded all the same."""
    code, output, errors = run({**environment, "REDIS_URL": "redis://127.0.0.1:1"})
    assert (code, errors) == (0, "")
    assert output.count("Redis does not answer") == 1
    assert output.endswith("orders: 460 added\n")


def test_wrong_environment_is_told_in_one_sentence(run: Run, postgres_url: str, environment: dict[str, str]) -> None:
    """All that is missing, unreachable or not migrated is named at once, and no password."""
    begins = "microdemo-demo: Demo data needs three migrated databases: "
    unreachable = make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False)
    code, output, errors = run({"ORDERS_DATABASE_URL": unreachable, "INVENTORY_DATABASE_URL": postgres_url})
    assert (code, output) == (1, "")
    assert errors == begins + (
        "ENVIRONMENT is not local, and the demo accounts have a password that everybody knows; "
        "USERS_DATABASE_URL is missing; "
        'ORDERS_DATABASE_URL cannot be reached (database "nowhere" does not exist); '
        "INVENTORY_DATABASE_URL is not migrated (`inventory migrate` does it).\n"
    )
    code, _, errors = run({**environment, "USERS_DATABASE_URL": "postgresql://u:pw@127.0.0.1:1/usersdb"})
    assert (code, errors) == (1, begins + "USERS_DATABASE_URL cannot be reached (connection refused).\n")
    code, _, errors = run({**environment, "USERS_DATABASE_URL": "users.db"})
    assert (code, errors) == (1, begins + "USERS_DATABASE_URL is no URL.\n")
    code, _, errors = run({**environment, "REDIS_URL": "redis://127.0.0.1:6379/0"})
    assert (code, "without a database's number" in errors) == (1, True)


@pytest.mark.parametrize("number", ["many", "-1", "10000000"])
def test_number_of_orders_is_checked(run: Run, environment: dict[str, str], number: str) -> None:
    """What is no number, or too large a one, ends with the usage."""
    with pytest.raises(SystemExit, match="2"):
        run(environment, "--orders", number)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("service", "table", "orders"),
    [
        pytest.param("users", "users", 460, id="before the accounts"),
        pytest.param("inventory", "reservation_lines", 460, id="while stock is being reserved"),
        pytest.param("orders", "order_events", 460, id="between orders and their events"),
        pytest.param("orders", "orders", 1_500, id="in a later batch"),
    ],
)
async def test_killed_run_is_completed_by_the_next(
    databases: Databases, environment: dict[str, str], seed: Seed, service: str, table: str, orders: int
) -> None:
    """Wherever it is killed, whole transactions are left, and the next run writes just what is missing."""
    there = (await seed(now=datetime.now(UTC))).added if orders > 460 else 0
    async with _locked(environment[f"{service.upper()}_DATABASE_URL"], table):
        process = await _start(environment, "--orders", str(orders))
        await _until_it_waits(getattr(databases, service))
        process.send_signal(signal.SIGKILL)
        await process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert await databases.orders.fetchval("SELECT count(*) FROM orders") == there

    assert (await seed(orders, datetime.now(UTC))).added == orders - there
    assert await databases.users.fetchval("SELECT count(*) FROM users WHERE password_hash IS NOT NULL") == 25
    assert await databases.inventory.fetchval("SELECT count(*) FROM items") == 40
    assert await databases.orders.fetchval("SELECT count(*) FROM orders") == orders
    await check(databases)
    assert (await seed(orders, datetime.now(UTC))).added == 0


@pytest.mark.anyio
async def test_two_runs_at_once_take_turns(databases: Databases, environment: dict[str, str]) -> None:
    """One adds everything; the other, which comes while that is at work, waits and adds nothing."""
    async with _locked(environment["INVENTORY_DATABASE_URL"], "reservation_lines"):
        processes = [await _start(environment) for _ in range(2)]
        await _until_it_waits(databases.inventory, sessions=2)
    outputs = [(await process.communicate())[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted("orders: 460 added" in output for output in outputs) == [False, True]
    await check(databases)


async def _start(environment: Mapping[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "microdemo_demo.cli", *arguments),
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def _locked(url: str, table: str) -> AsyncIterator[None]:
    """Nobody can write to the table meanwhile; reading it is possible."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def _until_it_waits(connection: asyncpg.Connection, *, sessions: int = 1) -> None:
    waits = """
        SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'microdemo-demo' AND wait_event_type = 'Lock' AND datname = current_database()
    """
    async with asyncio.timeout(30):
        while await connection.fetchval(waits) < sessions:  # noqa: ASYNC110 - another process's wait sends no event
            await asyncio.sleep(0.02)
