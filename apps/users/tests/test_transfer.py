"""Accounts as CSV, out and in."""

import asyncio
import csv
import io
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from microdemo_core.plugin import KernelPlugin
from microdemo_core.testing.tokens import Tokens

from .conftest import PASSWORD, AddPerson, Person, ahead_of, field_errors

pytestmark = pytest.mark.anyio


async def send(client: httpx.AsyncClient, admin: Person, content: str, **params: str) -> httpx.Response:
    files = {"file": ("users.csv", content.encode(), "text/csv")}
    return await client.post("/import/csv", files=files, params=params, headers=admin.headers)


async def report(client: httpx.AsyncClient, admin: Person, content: str, **params: str) -> dict[str, Any]:
    answer = await send(client, admin, content, **params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def accounts(client: httpx.AsyncClient, admin: Person) -> dict[str, dict[str, Any]]:
    return {user["email"]: user for user in (await client.get("/", headers=admin.headers)).json()}


def counts(found: dict[str, Any]) -> tuple[int, int, int]:
    return found["created_count"], found["updated_count"], found["skipped_count"]


async def test_export(client: httpx.AsyncClient, ada: Person, bob: Person) -> None:
    """All accounts by id under the announced header, as a file; no hash among them."""
    answer = await client.get("/export/csv", headers=ada.headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(rows[0]) == ["id", "name", "email", "role", "is_active", "created_at"]
    assert [row["name"] for row in rows] == ["Ada", "Bob"]
    assert (rows[0]["role"], rows[0]["is_active"]) == ("admin", "true")
    assert rows[0]["created_at"].endswith("Z")
    assert "$argon2" not in answer.text


async def test_an_export_of_many_is_whole(client: httpx.AsyncClient, kernel: KernelPlugin, ada: Person) -> None:
    """It is read in steps, and none is left out or doubled where two steps meet."""
    async with kernel.database.engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO users (name, email) SELECT 'n' || i, i || '@example.com' FROM generate_series(1, 2500) i")
        )
    lines = (await client.get("/export/csv", headers=ada.headers)).text.splitlines()
    ids = [int(line.split(",")[0]) for line in lines[1:]]
    assert ids == sorted(set(ids))
    assert len(ids) == 2501


async def test_round_trip(client: httpx.AsyncClient, ada: Person, add_person: AddPerson) -> None:
    """What was exported changes nothing when it comes back, and brings back who was deleted."""
    odd = await add_person('=HYPERLINK("x"), "quoted"', email="=odd@example.com", is_active=False)
    await add_person("Zoë 😀", email="'zoe@example.com", role="admin")
    exported = (await client.get("/export/csv", headers=ada.headers)).text
    before = await accounts(client, ada)
    assert counts(await report(client, ada, exported)) == (0, 0, 3)
    assert await accounts(client, ada) == before
    await client.delete(f"/{odd.id}", headers=ada.headers)
    assert counts(await report(client, ada, exported)) == (1, 0, 2)
    after = await accounts(client, ada)
    for email, user in before.items():
        assert {n: user[n] for n in ("name", "role", "is_active")} == {
            n: after[email][n] for n in ("name", "role", "is_active")
        }


async def test_import_creates_and_updates(client: httpx.AsyncClient, ada: Person, bob: Person) -> None:
    """By address in any case; what a row leaves empty stays, and is the default for a new account."""
    found = await report(
        client,
        ada,
        "email,name,role,is_active\n"
        "BOB@example.com,Robert,,\n"
        "eve@example.com,Eve,admin,no\n"
        "fay@example.com,Fay,,\n"
        "ada@example.com,Ada,admin,true\n",
    )
    assert counts(found) == (2, 1, 1)
    assert (found["errors"], found["row_errors"], found["dry_run"]) == ([], [], False)
    users = await accounts(client, ada)
    assert users["BOB@example.com"]["id"] == bob.id
    assert [(users[e]["name"], users[e]["role"], users[e]["is_active"]) for e in list(users)[1:]] == [
        ("Robert", "user", True),
        ("Eve", "admin", False),
        ("Fay", "user", True),
    ]


async def test_role_and_state_are_optional_columns(client: httpx.AsyncClient, ada: Person, bob: Person) -> None:
    """Name and address are enough."""
    assert counts(await report(client, ada, "name,email\nRobert,bob@example.com\nEve,eve@example.com\n")) == (1, 1, 0)


async def test_an_imported_account_has_no_password(client: httpx.AsyncClient, ada: Person) -> None:
    """Nobody signs in to it until an admin resets one; that of an updated account stays."""
    await report(client, ada, "name,email\nAda L.,ada@example.com\nEve,eve@example.com\n")
    for password in ("", PASSWORD):
        answer = await client.post("/login", json={"email": "eve@example.com", "password": password})
        assert answer.status_code == 401
    eve = (await accounts(client, ada))["eve@example.com"]["id"]
    temporary = (await client.post(f"/{eve}/reset_password", headers=ada.headers)).json()["temp_password"]
    for email, password in (("eve@example.com", temporary), ("ada@example.com", PASSWORD)):
        assert (await client.post("/login", json={"email": email, "password": password})).status_code == 200


async def test_bad_rows_are_reported_and_good_ones_kept(client: httpx.AsyncClient, ada: Person) -> None:
    """Each with its line, column and reason, twice: for programs and as text."""
    found = await report(
        client,
        ada,
        "name,email,role,is_active\n"
        "Good,good@example.com,user,true\n"
        ",noname@example.com,,\n"
        '"two\nlines",lines@example.com,,\n'
        "No Address,nowhere,,\n"
        "Odd Role,role@example.com,service,\n"
        "Odd State,state@example.com,,perhaps\n"
        "Twice,GOOD@example.com,,\n"
        "Short,short@example.com\n"
        f"{'x' * 201},long@example.com,,\n"
        "Also Good,also@example.com,,\n",
    )
    assert counts(found) == (2, 0, 8)
    assert [(error["line"], error["column"]) for error in found["row_errors"]] == [
        (3, "name"),
        (4, "name"),
        (6, "email"),
        (7, "role"),
        (8, "is_active"),
        (9, "email"),
        (10, None),
        (11, "name"),
    ]
    assert len(found["errors"]) == 8
    assert found["errors"][0].startswith("line 3, name: ")
    assert "line 2" in found["row_errors"][5]["reason"]
    assert set(await accounts(client, ada)) == {"ada@example.com", "good@example.com", "also@example.com"}


async def test_a_dry_run_counts_and_changes_nothing(client: httpx.AsyncClient, ada: Person, bob: Person) -> None:
    """The very report of the import, but for its mark."""
    content = "name,email\nRobert,bob@example.com\nEve,eve@example.com\nNo Address,nowhere\nAda,ada@example.com\n"
    before = await accounts(client, ada)
    rehearsed = await report(client, ada, content, dry_run="true")
    assert counts(rehearsed) == (1, 1, 2)
    assert await accounts(client, ada) == before
    assert await report(client, ada, content) == rehearsed | {"dry_run": False}
    assert await accounts(client, ada) != before


async def test_an_import_is_seen_at_once(client: httpx.AsyncClient, ada: Person, bob: Person, tokens: Tokens) -> None:
    """Cached accounts, lists and counts are forgotten, also who was asked for before he existed."""
    service = tokens.service("users")
    assert (await client.get(f"/{bob.id + 1}", headers=service)).status_code == 404
    assert (await client.get(f"/{bob.id}", headers=ada.headers)).json()["name"] == "Bob"
    assert (await client.get("/analytics", headers=ada.headers)).json()["total_users"] == 2
    await report(client, ada, "name,email\nRobert,bob@example.com\nEve,eve@example.com\n")
    assert (await client.get(f"/{bob.id}", headers=ada.headers)).json()["name"] == "Robert"
    assert (await client.get("/analytics", headers=ada.headers)).json()["total_users"] == 3
    assert (await client.get(f"/{bob.id + 1}", headers=service)).status_code == 200


async def test_an_import_deactivates_at_once(client: httpx.AsyncClient, ada: Person, bob: Person) -> None:
    """The token of an account that a file has closed is refused."""
    assert (await client.get("/me", headers=bob.headers)).status_code == 200
    await report(client, ada, "name,email,is_active\nBob,bob@example.com,false\n")
    assert (await client.get("/me", headers=bob.headers)).status_code == 401


@pytest.mark.parametrize("row", ["Ada,ada@example.com,user,", "Ada,ada@example.com,,false"])
async def test_an_import_leaves_an_admin(client: httpx.AsyncClient, ada: Person, bob: Person, row: str) -> None:
    """The row that would take the last one away is rejected, and with a successor it passes."""
    head = "name,email,role,is_active\n"
    found = await report(client, ada, f"{head}Bob,bob@example.com,user,\n{row}\nEve,eve@example.com,admin,false\n")
    assert counts(found) == (1, 0, 2)
    assert [error["line"] for error in found["row_errors"]] == [3]
    assert (await client.get("/", headers=ada.headers)).status_code == 200
    assert counts(await report(client, ada, f"{head}Eve,eve@example.com,admin,true\n{row}\n")) == (0, 2, 0)


async def test_a_new_admin_is_a_successor(client: httpx.AsyncClient, ada: Person) -> None:
    """Created by the same file, whatever the order of the rows."""
    rows = "name,email,role\nAda,ada@example.com,user\nEve,eve@example.com,admin\n"
    assert counts(await report(client, ada, rows)) == (1, 1, 0)


async def test_a_file_cannot_take_all_admins_away(
    client: httpx.AsyncClient, ada: Person, add_person: AddPerson
) -> None:
    """One of two stays, and one made admin by an earlier row counts."""
    await add_person("Dan", role="admin")
    rows = "name,email,role\nAda,ada@example.com,user\nDan,dan@example.com,user\n"
    found = await report(client, ada, rows, dry_run="true")
    assert (counts(found), len(found["row_errors"])) == ((0, 1, 1), 1)
    await add_person("Bob")
    rows = "name,email,role\nAda,ada@example.com,user\nBob,bob@example.com,admin\nDan,dan@example.com,user\n"
    assert (await report(client, ada, rows))["row_errors"] == []


async def test_a_large_file_passes_in_batches(client: httpx.AsyncClient, ada: Person) -> None:
    """Twice the same: all created, then all unchanged; an address twice is found across batches."""
    rows = "".join(f"User {n},user{n}@example.com\n" for n in range(1200))
    content = f"name,email\n{rows}Again,USER0@example.com\n"
    assert counts(await report(client, ada, content)) == (1200, 0, 1)
    assert counts(await report(client, ada, content)) == (0, 0, 1201)


async def test_one_import_at_a_time(client: httpx.AsyncClient, kernel: KernelPlugin, ada: Person) -> None:
    """409 for the second; it works once the first is done."""
    content = "name,email\nEve,eve@example.com\n"
    async with kernel.database.engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": 0x75736572})
        assert (await send(client, ada, content)).status_code == 409
    assert (await send(client, ada, content)).status_code == 200


async def test_an_address_taken_while_the_import_runs(
    client: httpx.AsyncClient, kernel: KernelPlugin, ada: Person
) -> None:
    """Its row is rejected, the others stand."""
    async with ahead_of(1, "INSERT INTO users (name, email) VALUES ('Eve', 'eve@example.com')", kernel):
        running = asyncio.create_task(report(client, ada, "name,email\nEve,EVE@example.com\nFay,fay@example.com\n"))
    found = await running
    assert (counts(found), [error["line"] for error in found["row_errors"]]) == ((1, 0, 1), [2])


async def test_what_is_no_upload(client: httpx.AsyncClient, ada: Person) -> None:
    """415 for another body, 422 for a form without the file, or a file without the columns or of another kind."""
    other = await client.post("/import/csv", content="name,email\n", headers=ada.headers | {"Content-Type": "text/csv"})
    assert other.status_code == 415
    without = await client.post("/import/csv", files={"other": b"x"}, headers=ada.headers)
    assert field_errors(without) == ["file"]
    for content in ("", "name,role\nEve,user\n", "name;email\nEve;eve@example.com\n"):
        assert field_errors(await send(client, ada, content)) == ["file"]
    assert list(await accounts(client, ada)) == ["ada@example.com"]


async def test_imports_and_exports_are_an_admins(client: httpx.AsyncClient, bob: Person, tokens: Tokens) -> None:
    """403 for users and services."""
    for headers in (bob.headers, tokens.service("users")):
        person = Person(0, "", "", headers)
        assert (await send(client, person, "name,email\nEve,eve@example.com\n")).status_code == 403
        assert (await client.get("/export/csv", headers=headers)).status_code == 403
