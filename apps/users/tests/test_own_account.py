"""/me: one's own account, preferences and password."""

import asyncio
from typing import Any

import httpx
import pytest
from jose import jwt

from microdemo_core.testing.tokens import Tokens

from .conftest import PASSWORD, AddPerson, Person, field_errors

pytestmark = pytest.mark.anyio


async def login(client: httpx.AsyncClient, email: str, password: str) -> httpx.Response:
    return await client.post("/login", json={"email": email, "password": password})


async def test_me(client: httpx.AsyncClient, bob: Person) -> None:
    """The caller's account; times are RFC 3339 in UTC."""
    me = (await client.get("/me", headers=bob.headers)).json()
    assert me.keys() == {"id", "name", "email", "role", "is_active", "preferences", "created_at"}
    assert (me["id"], me["email"], me["role"]) == (bob.id, bob.email, "user")
    assert me["created_at"].endswith("Z")


async def test_me_is_not_sent_twice(client: httpx.AsyncClient, bob: Person) -> None:
    """304 for a tag that is still good, the account once it has changed."""
    tag = (await client.get("/me", headers=bob.headers)).headers["etag"]
    again = await client.get("/me", headers=bob.headers | {"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    await client.put(f"/{bob.id}", json={"name": "Robert"}, headers=bob.headers)
    changed = await client.get("/me", headers=bob.headers | {"If-None-Match": tag})
    assert (changed.status_code, changed.json()["name"]) == (200, "Robert")


async def test_a_service_has_no_account(client: httpx.AsyncClient, bob: Person, tokens: Tokens) -> None:
    """/me is for people."""
    headers = tokens.service("users", acting_for=bob.id)
    assert (await client.get("/me", headers=headers)).status_code == 403


async def test_preferences_are_replaced_whole(client: httpx.AsyncClient, bob: Person) -> None:
    """PUT answers what it stored, whatever keys it has; the next PUT leaves nothing of it."""
    first = {"theme": "dark", "columns": [1, 2.5, None, {"a": True}], "unheard of": "ä€😀", "big": 12345678901234567890}
    answer = await client.put("/me/preferences", json={"preferences": first}, headers=bob.headers)
    assert (answer.status_code, answer.json()) == (200, first)
    assert (await client.get("/me/preferences", headers=bob.headers)).json() == first
    assert (await client.get("/me", headers=bob.headers)).json()["preferences"] == first
    await client.put("/me/preferences", json={"preferences": {"theme": "light"}}, headers=bob.headers)
    assert (await client.get("/me/preferences", headers=bob.headers)).json() == {"theme": "light"}


def _nested(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels - 1):
        value = [value]
    return {"deep": value}


@pytest.mark.parametrize(
    "preferences",
    [[], "dark", None, {"k" * 65: 1}, {"text": "a\0b"}, {"a": {"b\0": 1}}, {"big": "x" * 17_000}, _nested(40)],
    ids=["list", "text", "null", "long key", "nul", "nul in a key", "too big", "too deep"],
)
async def test_what_preferences_cannot_be(client: httpx.AsyncClient, bob: Person, preferences: object) -> None:
    """422, and what was stored stays."""
    await client.put("/me/preferences", json={"preferences": {"theme": "dark"}}, headers=bob.headers)
    answer = await client.put("/me/preferences", json={"preferences": preferences}, headers=bob.headers)
    assert field_errors(answer) == ["preferences"]
    assert (await client.get("/me/preferences", headers=bob.headers)).json() == {"theme": "dark"}


async def test_a_body_nested_without_end_is_400(client: httpx.AsyncClient, bob: Person) -> None:
    """Unreadable, and no server error."""
    body = b'{"preferences":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    headers = bob.headers | {"Content-Type": "application/json"}
    assert (await client.put("/me/preferences", content=body, headers=headers)).status_code == 400


async def test_changing_ones_password(client: httpx.AsyncClient, bob: Person) -> None:
    """The new one opens, the old one no longer does."""
    change = {"current_password": PASSWORD, "new_password": "a brand new one"}
    assert (await client.post("/me/password", json=change, headers=bob.headers)).status_code == 204
    assert (await login(client, bob.email, PASSWORD)).status_code == 401
    assert (await login(client, bob.email, "a brand new one")).status_code == 200


async def test_a_password_is_changed_by_who_knows_it(client: httpx.AsyncClient, bob: Person) -> None:
    """422 for a wrong current one: a 401 would sign the client out. Nothing changes."""
    change = {"current_password": "not the password", "new_password": "a brand new one"}
    answer = await client.post("/me/password", json=change, headers=bob.headers)
    assert field_errors(answer) == ["current_password"]
    assert (await login(client, bob.email, PASSWORD)).status_code == 200


async def test_a_new_password_has_8_characters_too(client: httpx.AsyncClient, bob: Person) -> None:
    """The same rule as at registration."""
    change = {"current_password": PASSWORD, "new_password": "short12"}
    assert field_errors(await client.post("/me/password", json=change, headers=bob.headers)) == ["new_password"]


async def test_without_a_password_there_is_none_to_change(
    client: httpx.AsyncClient, ada: Person, add_person: AddPerson
) -> None:
    """An imported account gets its first password from an admin."""
    imported = await add_person("Imported", password_hash=None)
    change = {"current_password": "", "new_password": "a brand new one"}
    answer = await client.post("/me/password", json=change, headers=imported.headers)
    assert field_errors(answer) == ["current_password"]


async def test_two_changes_of_one_password_at_once(client: httpx.AsyncClient, bob: Person) -> None:
    """One stands, the other is told."""
    changes = [{"current_password": PASSWORD, "new_password": f"new password {n}"} for n in range(2)]
    answers = await asyncio.gather(
        *(client.post("/me/password", json=change, headers=bob.headers) for change in changes)
    )
    statuses = [answer.status_code for answer in answers]
    # The second one may also have read the password after the first had changed it.
    assert sorted(statuses) in ([204, 409], [204, 422])
    kept = changes[statuses.index(204)]["new_password"]
    assert (await login(client, bob.email, kept)).status_code == 200


async def test_a_temporary_password_is_to_be_changed(client: httpx.AsyncClient, ada: Person, bob: Person) -> None:
    """Its tokens say so and work; after the change they do not say it any more."""
    reset = await client.post(f"/{bob.id}/reset_password", headers=ada.headers)
    assert reset.status_code == 200
    temporary = reset.json()["temp_password"]
    assert (await login(client, bob.email, PASSWORD)).status_code == 401
    token = (await login(client, bob.email, temporary)).json()["access_token"]
    assert jwt.get_unverified_claims(token)["must_change_password"] is True
    headers = {"Authorization": f"Bearer {token}"}
    assert (await client.get("/me", headers=headers)).status_code == 200
    change = {"current_password": temporary, "new_password": "a brand new one"}
    assert (await client.post("/me/password", json=change, headers=headers)).status_code == 204
    token = (await login(client, bob.email, "a brand new one")).json()["access_token"]
    assert "must_change_password" not in jwt.get_unverified_claims(token)
