"""``make up`` and its friends: what a newcomer runs first."""

import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest
from tests.system import Stack, sign_in

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("stack")]


def _block(language: str, after: str) -> str:
    text = (ROOT / "README.md").read_text()
    found = re.search(rf"```{language}\n(.*?)```", text[text.index(after) :], re.DOTALL)
    assert found
    return found[1]


def test_the_readmes_walk_runs(stack: Stack) -> None:
    """Every command of the five minutes with curl does what the text around it says."""
    script = _block("sh", "## Five minutes with curl")
    done = subprocess.run(
        ["bash", "-eu"],  # noqa: S607 - whichever bash the reader has
        input=script,
        env={**os.environ, "PORT": stack.environment["PORT"]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for expected in (
        '"email":"bob@example.com"',
        "x-total-count:",
        '"status":"pending"',
        '"status":409',
        '"status":422',
        '"status":"cancelled"',
        '"total_orders":',
        '"history":',
        "id,sku,qty,created_at",
    ):
        assert expected in done.stdout, f"{expected}\n{done.stdout}"


async def _counts(http: httpx.AsyncClient) -> list[str]:
    admin = await sign_in(http, "admin@test.com")
    return [
        (await http.get(f"/{service}/", params={"limit": 1}, headers=admin)).headers["x-total-count"]
        for service in ("users", "orders", "inventory")
    ]


async def test_seeding_again_and_restarting_change_nothing(stack: Stack, http: httpx.AsyncClient) -> None:
    """Demo data is loaded once, and what users wrote is still there after ``down`` and ``up``."""
    before = await _counts(http)
    assert [int(count) > 0 for count in before] == [True] * 3
    stack.run("seed")
    assert await _counts(http) == before
    stack.run("down")
    stack.run("up")
    assert await _counts(http) == before
    stack.run("up")
    assert await _counts(http) == before


def test_every_part_is_listed(stack: Stack) -> None:
    """Status shows each replica with its state."""
    text = stack.run("status")
    for part in ("postgres", "valkey", "users-1", "users-2", "orders-2", "inventory-2", "gateway"):
        assert re.search(rf"^{part}\s+(running|starting)", text, re.MULTILINE), text


def _logs(stack: Stack) -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(stack.environment["MICRODEMO_HOME"], "logs").iterdir()}


async def test_no_log_holds_a_secret(stack: Stack, http: httpx.AsyncClient) -> None:
    """Whatever was asked until now, right and wrong, left no token, password, hash or statement in any log."""
    bob = await sign_in(http, "bob@example.com")
    await http.post("/users/login", json={"email": "bob@example.com", "password": "hunter2-hunter2"})
    await http.post("/users/register", json={"name": "Bob", "email": "bob@example.com", "password": "hunter2-hunter2"})
    await http.get("/users/me", headers={"Authorization": bob["Authorization"] + "x"})
    logs = _logs(stack)
    assert {"users-1.log", "gateway.log", "postgres.log"} <= logs.keys()
    for name, text in logs.items():
        for secret in (bob["Authorization"].split()[1][:20], "hunter2", "password123", "$argon2", "INSERT INTO"):
            assert secret not in text, (name, secret)
