"""Accounts as admins, their owners and services see and change them."""

import asyncio

import httpx
import pytest
from jose import jwt

from microdemo_core.plugin import KernelPlugin
from microdemo_core.testing.tokens import Tokens

from .conftest import PASSWORD, AddPerson, Person, ahead_of, field_errors

pytestmark = pytest.mark.anyio

DORA = {"name": "Dora", "email": "dora@example.com", "password": PASSWORD}


async def login(client: httpx.AsyncClient, email: str, password: str) -> httpx.Response:
    return await client.post("/login", json={"email": email, "password": password})


async def names(client: httpx.AsyncClient, admin: Person, **params: str | int) -> list[str]:
    answer = await client.get("/", params=params, headers=admin.headers)
    assert answer.status_code == 200, answer.text
    return [user["name"] for user in answer.json()]


@pytest.fixture
async def crowd(ada: Person, bob: Person, add_person: AddPerson) -> list[Person]:
    """Ada (admin), Bob, Cleo (inactive), Dan (admin), Eva_1."""
    cleo = await add_person("Cleo", is_active=False)
    dan = await add_person("Dan", role="admin", email="Daniel@Example.com")
    eva = await add_person("Eva_1", email="100%@example.com")
    return [ada, bob, cleo, dan, eva]


async def test_the_list_is_by_id(client: httpx.AsyncClient, crowd: list[Person]) -> None:
    """A bare array of accounts with the total and the pages in headers."""
    answer = await client.get("/", params={"limit": 2, "skip": 2}, headers=crowd[0].headers)
    assert [user["name"] for user in answer.json()] == ["Cleo", "Dan"]
    assert answer.json()[0].keys() == {"id", "name", "email", "role", "is_active", "preferences", "created_at"}
    assert answer.headers["x-total-count"] == "5"
    assert '<?skip=4&limit=2>; rel="next"' in answer.headers["link"]


async def test_filters(client: httpx.AsyncClient, crowd: list[Person]) -> None:
    """Part of name or address in any case, role, state; together, and in the total."""
    ada = crowd[0]
    assert await names(client, ada, q="DA") == ["Ada", "Dan"]
    assert await names(client, ada, q="daniel@") == ["Dan"]
    assert await names(client, ada, role="admin") == ["Ada", "Dan"]
    assert await names(client, ada, is_active="false") == ["Cleo"]
    assert await names(client, ada, role="admin", q="dan") == ["Dan"]
    assert await names(client, ada, q="") == ["Ada", "Bob", "Cleo", "Dan", "Eva_1"]
    answer = await client.get("/", params={"role": "admin", "limit": 1}, headers=ada.headers)
    assert answer.headers["x-total-count"] == "2"
    assert "role=admin" in answer.headers["link"]


async def test_a_search_is_for_text(client: httpx.AsyncClient, crowd: list[Person]) -> None:
    """% and _ mean themselves."""
    assert await names(client, crowd[0], q="%") == ["Eva_1"]
    assert await names(client, crowd[0], q="a_1") == ["Eva_1"]
    assert await names(client, crowd[0], q="d_n") == []


@pytest.mark.parametrize(("sort", "first"), [("name", "Ada"), ("-name", "Eva_1"), ("-id", "Eva_1"), ("email", "Eva_1")])
async def test_sorting(client: httpx.AsyncClient, crowd: list[Person], sort: str, first: str) -> None:
    """By any of the announced fields, either way."""
    assert (await names(client, crowd[0], sort=sort))[0] == first


async def test_a_keyset_walk_sees_everybody_once(client: httpx.AsyncClient, crowd: list[Person]) -> None:
    """From an empty cursor along the next links."""
    seen: list[str] = []
    url = "/?cursor=&limit=2&sort=-created_at"
    while url:
        answer = await client.get(url, headers=crowd[0].headers)
        seen += [user["name"] for user in answer.json()]
        following = answer.links.get("next")
        url = f"/{following['url']}" if following else ""
    assert seen == ["Eva_1", "Dan", "Cleo", "Bob", "Ada"]


@pytest.mark.parametrize(
    ("name", "value"), [("role", "service"), ("is_active", "perhaps"), ("q", "x" * 101), ("limit", "1001")]
)
async def test_filters_that_are_not_there(client: httpx.AsyncClient, ada: Person, name: str, value: str) -> None:
    """422 that names the parameter."""
    assert field_errors(await client.get("/", params={name: value}, headers=ada.headers)) == [name]


@pytest.mark.parametrize("url", ["/?q=%00", "/?q=%ff", "/?skip=99999999999999999999", "/99999999999999999999", "/0"])
async def test_odd_addresses_are_no_server_errors(client: httpx.AsyncClient, ada: Person, url: str) -> None:
    """What PostgreSQL cannot take is not ours to break on."""
    assert (await client.get(url, headers=ada.headers)).status_code < 500


async def test_the_list_shows_what_was_just_written(client: httpx.AsyncClient, ada: Person) -> None:
    """Cached, and forgotten by every change."""
    assert await names(client, ada) == ["Ada"]
    created = await client.post("/", json=DORA, headers=ada.headers)
    assert await names(client, ada) == ["Ada", "Dora"]
    await client.put(f"/{created.json()['id']}", json={"name": "Theodora"}, headers=ada.headers)
    assert await names(client, ada) == ["Ada", "Theodora"]
    await client.delete(f"/{created.json()['id']}", headers=ada.headers)
    assert await names(client, ada) == ["Ada"]


async def test_creating_with_a_password(client: httpx.AsyncClient, ada: Person) -> None:
    """201 with the account, an ordinary active user who signs in with it."""
    answer = await client.post("/", json=DORA | {"role": "admin"}, headers=ada.headers)
    assert answer.status_code == 201
    assert "temp_password" not in answer.json()
    assert (answer.json()["role"], answer.json()["is_active"]) == ("user", True)
    token = (await login(client, "dora@example.com", PASSWORD)).json()["access_token"]
    assert "must_change_password" not in jwt.get_unverified_claims(token)


async def test_creating_without_a_password(client: httpx.AsyncClient, ada: Person) -> None:
    """A temporary one is answered once, and has to be changed."""
    answer = await client.post("/", json={"name": "Dora", "email": "dora@example.com"}, headers=ada.headers)
    assert answer.status_code == 201
    temporary = answer.json()["temp_password"]
    assert len(temporary) >= 12
    token = (await login(client, "dora@example.com", temporary)).json()["access_token"]
    assert jwt.get_unverified_claims(token)["must_change_password"] is True
    again = (await client.get(f"/{answer.json()['id']}", headers=ada.headers)).json()
    assert "temp_password" not in again


async def test_creating_follows_the_rules_of_registration(client: httpx.AsyncClient, ada: Person) -> None:
    """The same 422s and the same 409."""
    assert field_errors(await client.post("/", json=DORA | {"email": "dora"}, headers=ada.headers)) == ["email"]
    assert field_errors(await client.post("/", json=DORA | {"name": " "}, headers=ada.headers)) == ["name"]
    assert field_errors(await client.post("/", json=DORA | {"password": "short12"}, headers=ada.headers)) == [
        "password"
    ]
    taken = await client.post("/", json=DORA | {"email": "ADA@example.com"}, headers=ada.headers)
    assert taken.status_code == 409


async def test_who_may_read_an_account(
    client: httpx.AsyncClient, ada: Person, bob: Person, add_person: AddPerson, tokens: Tokens
) -> None:
    """Its owner, an admin and a service."""
    eve = await add_person("Eve")
    service = tokens.service("users", acting_for=bob.id)
    for headers in (ada.headers, bob.headers, service):
        answer = await client.get(f"/{bob.id}", headers=headers)
        assert (answer.status_code, answer.json()["email"]) == (200, bob.email)
    assert (await client.get(f"/{bob.id}", headers=eve.headers)).status_code == 403
    # Whether there is such an account is not told to who may not read it.
    assert (await client.get("/999", headers=eve.headers)).status_code == 403
    for headers in (ada.headers, service):
        assert (await client.get("/999", headers=headers)).status_code == 404


async def test_a_service_sees_that_an_account_is_closed(
    client: httpx.AsyncClient, add_person: AddPerson, tokens: Tokens
) -> None:
    """200 with is_active false: the account exists."""
    closed = await add_person("Closed", is_active=False)
    answer = await client.get(f"/{closed.id}", headers=tokens.service("users", acting_for=closed.id))
    assert (answer.status_code, answer.json()["is_active"]) == (200, False)


async def test_an_unknown_account_is_known_once_it_exists(
    client: httpx.AsyncClient, ada: Person, tokens: Tokens
) -> None:
    """That it was not there is remembered, and forgotten when it is created."""
    service = tokens.service("users")
    assert (await client.get(f"/{ada.id + 1}", headers=service)).status_code == 404
    created = await client.post("/", json=DORA, headers=ada.headers)
    assert created.json()["id"] == ada.id + 1
    assert (await client.get(f"/{ada.id + 1}", headers=service)).status_code == 200


async def test_changing_ones_own_name_and_address(client: httpx.AsyncClient, bob: Person) -> None:
    """200 with the account as it is now, which /me shows at once and the next login uses."""
    await client.get("/me", headers=bob.headers)
    change = {"name": " Robert ", "email": "robert@example.com"}
    answer = await client.put(f"/{bob.id}", json=change, headers=bob.headers)
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["email"]) == ("Robert", "robert@example.com")
    assert (await client.get("/me", headers=bob.headers)).json() == answer.json()
    assert (await login(client, "robert@example.com", PASSWORD)).status_code == 200
    assert (await login(client, bob.email, PASSWORD)).status_code == 401


async def test_ones_own_address_in_another_case_is_free(client: httpx.AsyncClient, bob: Person) -> None:
    """It is taken by nobody else."""
    answer = await client.put(f"/{bob.id}", json={"email": "BOB@example.com"}, headers=bob.headers)
    assert (answer.status_code, answer.json()["email"]) == (200, "BOB@example.com")


async def test_anothers_address_is_taken(client: httpx.AsyncClient, ada: Person, bob: Person) -> None:
    """409, and nothing of the change is kept."""
    change = {"name": "Robert", "email": "ADA@example.com"}
    assert (await client.put(f"/{bob.id}", json=change, headers=bob.headers)).status_code == 409
    assert (await client.get("/me", headers=bob.headers)).json()["name"] == "Bob"


@pytest.mark.parametrize("change", [{"role": "admin"}, {"is_active": False}, {"name": "Robert", "role": "admin"}])
async def test_role_and_state_are_an_admins_to_change(
    client: httpx.AsyncClient, bob: Person, change: dict[str, object]
) -> None:
    """403 for oneself, and nothing of the change is kept."""
    assert (await client.put(f"/{bob.id}", json=change, headers=bob.headers)).status_code == 403
    me = (await client.get("/me", headers=bob.headers)).json()
    assert (me["name"], me["role"], me["is_active"]) == ("Bob", "user", True)


async def test_a_field_equal_to_the_stored_one_needs_no_right(client: httpx.AsyncClient, bob: Person) -> None:
    """The first version's form sends all of them; null is no change."""
    change = {"name": "Robert", "email": bob.email, "role": "user", "is_active": True, "preferences": {}, "id": 1}
    answer = await client.put(f"/{bob.id}", json=change, headers=bob.headers)
    assert (answer.status_code, answer.json()["name"], answer.json()["id"]) == (200, "Robert", bob.id)
    nothing = {"name": None, "email": None, "role": None, "is_active": None}
    same = await client.put(f"/{bob.id}", json=nothing, headers=bob.headers)
    assert (same.status_code, same.json()) == (200, answer.json())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"email": "nowhere"}, "email"),
        ({"role": "service"}, "role"),
        ({"is_active": "yes"}, "is_active"),
    ],
)
async def test_changes_that_are_none(
    client: httpx.AsyncClient, ada: Person, bob: Person, change: dict[str, object], field: str
) -> None:
    """422 that names the field."""
    assert field_errors(await client.put(f"/{bob.id}", json=change, headers=ada.headers)) == [field]


async def test_an_admin_changes_anybody(client: httpx.AsyncClient, ada: Person, bob: Person) -> None:
    """Name, address, role and state; 404 for nobody."""
    change = {"name": "Robert", "email": "r@example.com", "role": "admin", "is_active": False}
    answer = await client.put(f"/{bob.id}", json=change, headers=ada.headers)
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in change} == change
    assert (await client.put("/999", json=change, headers=ada.headers)).status_code == 404


async def test_an_account_of_another_is_not_ones_to_change(
    client: httpx.AsyncClient, bob: Person, add_person: AddPerson, tokens: Tokens
) -> None:
    """403 for other users, and for services, whomever they act for."""
    eve = await add_person("Eve")
    for headers in (eve.headers, tokens.service("users", acting_for=bob.id)):
        assert (await client.put(f"/{bob.id}", json={"name": "X"}, headers=headers)).status_code == 403
        assert (await client.delete(f"/{bob.id}", headers=headers)).status_code == 403


async def test_deleting(client: httpx.AsyncClient, ada: Person, bob: Person) -> None:
    """204, then it is gone: 404 for admins, and its address is free."""
    answer = await client.delete(f"/{bob.id}", headers=ada.headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await client.get(f"/{bob.id}", headers=ada.headers)).status_code == 404
    assert (await client.delete(f"/{bob.id}", headers=ada.headers)).status_code == 404
    again = await client.post("/", json=DORA | {"email": bob.email}, headers=ada.headers)
    assert again.status_code == 201


async def test_an_id_is_never_given_again(client: httpx.AsyncClient, ada: Person) -> None:
    """Not even the newest one, so a deleted account's token opens no other's."""
    first = (await client.post("/", json=DORA, headers=ada.headers)).json()["id"]
    await client.delete(f"/{first}", headers=ada.headers)
    second = (await client.post("/", json=DORA, headers=ada.headers)).json()["id"]
    assert second > first


async def test_resetting_a_password(client: httpx.AsyncClient, ada: Person, add_person: AddPerson) -> None:
    """Admins only, also for an account that never had one; 404 for nobody."""
    fresh = await add_person("Fresh", password_hash=None)
    reset = await client.post(f"/{fresh.id}/reset_password", headers=ada.headers)
    assert (reset.status_code, reset.json().keys()) == (200, {"temp_password"})
    assert (await login(client, fresh.email, reset.json()["temp_password"])).status_code == 200
    assert (await client.post(f"/{fresh.id}/reset_password", headers=fresh.headers)).status_code == 403
    assert (await client.post("/999/reset_password", headers=ada.headers)).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("POST", "/"), ("DELETE", "/1"), ("POST", "/1/reset_password"), ("GET", "/export/csv")],
)
async def test_admins_only(client: httpx.AsyncClient, bob: Person, tokens: Tokens, method: str, path: str) -> None:
    """403 for users and for services."""
    for headers in (bob.headers, tokens.service("users", acting_for=1)):
        answer = await client.request(method, path, json=DORA if method == "POST" else None, headers=headers)
        assert answer.status_code == 403


async def test_a_change_is_made_to_what_another_has_just_left(
    client: httpx.AsyncClient, kernel: KernelPlugin, ada: Person, bob: Person
) -> None:
    """It waits for the other one, keeps its fields, answers with them, and has only the rights that are left."""
    async with ahead_of(2, "UPDATE users SET name = 'Robert', role = 'admin' WHERE name = 'Bob'", kernel):
        change = asyncio.create_task(client.put(f"/{bob.id}", json={"email": "r@example.com"}, headers=ada.headers))
        form = asyncio.create_task(client.put(f"/{bob.id}", json={"role": "user"}, headers=bob.headers))
    changed = (await change).json()
    assert (changed["name"], changed["email"], changed["role"]) == ("Robert", "r@example.com", "admin")
    assert (await form).status_code == 403


async def test_an_account_deleted_meanwhile_is_not_there(
    client: httpx.AsyncClient, kernel: KernelPlugin, ada: Person, bob: Person
) -> None:
    """404 for a change and for a second deletion that came at the same moment."""
    async with ahead_of(2, "DELETE FROM users WHERE name = 'Bob'", kernel):
        change = asyncio.create_task(client.put(f"/{bob.id}", json={"name": "Robert"}, headers=ada.headers))
        deletion = asyncio.create_task(client.delete(f"/{bob.id}", headers=ada.headers))
    assert ((await change).status_code, (await deletion).status_code) == (404, 404)
