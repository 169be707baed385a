"""What an account's present state takes away from tokens that were signed before, and the last admin."""

import asyncio

import httpx
import pytest
from sqlalchemy import text

from microdemo_core.plugin import KernelPlugin
from microdemo_core.settings import Settings
from microdemo_core.testing.service import ServiceUnderTest

from .conftest import AddPerson, Person, ahead_of

pytestmark = pytest.mark.anyio


async def test_a_deactivated_accounts_token_is_refused_at_once(
    client: httpx.AsyncClient, ada: Person, bob: Person
) -> None:
    """401 on every route, although the account was read a moment before; and good again when it is activated."""
    assert (await client.get("/me", headers=bob.headers)).status_code == 200
    await client.put(f"/{bob.id}", json={"is_active": False}, headers=ada.headers)
    for path in ("/me", "/me/preferences", f"/{bob.id}", "/analytics", "/analytics/timeseries"):
        answer = await client.get(path, headers=bob.headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
    await client.put(f"/{bob.id}", json={"is_active": True}, headers=ada.headers)
    assert (await client.get("/me", headers=bob.headers)).status_code == 200


async def test_a_deleted_accounts_token_is_refused_at_once(client: httpx.AsyncClient, ada: Person, bob: Person) -> None:
    """401 as for a deactivated one."""
    assert (await client.get("/me", headers=bob.headers)).status_code == 200
    await client.delete(f"/{bob.id}", headers=ada.headers)
    assert (await client.get("/me", headers=bob.headers)).status_code == 401


async def test_who_was_admin_is_not(client: httpx.AsyncClient, ada: Person, add_person: AddPerson) -> None:
    """The stored role counts, not the token's: a demoted admin is refused, a promoted user is let in."""
    dan = await add_person("Dan", role="admin")
    assert (await client.get("/", headers=dan.headers)).status_code == 200
    await client.put(f"/{dan.id}", json={"role": "user"}, headers=ada.headers)
    assert (await client.get("/", headers=dan.headers)).status_code == 403
    assert (await client.get(f"/{ada.id}", headers=dan.headers)).status_code == 403
    await client.put(f"/{dan.id}", json={"role": "admin"}, headers=ada.headers)
    assert (await client.get("/", headers=dan.headers)).status_code == 200


async def test_public_routes_ask_no_account(client: httpx.AsyncClient) -> None:
    """Health, version and documents are open to everybody, whatever token they carry."""
    for path in ("/healthz", "/version", "/schema/openapi.json"):
        assert (await client.get(path, headers={"Authorization": "Bearer nonsense"})).status_code == 200


@pytest.mark.parametrize(
    "change", [{"role": "user"}, {"is_active": False}, None], ids=["demote", "deactivate", "delete"]
)
async def test_the_last_active_admin_stays(
    client: httpx.AsyncClient, ada: Person, add_person: AddPerson, change: dict[str, object] | None
) -> None:
    """409 for every way to lose the last one, and allowed as soon as there is another active one."""
    idle = await add_person("Idle", role="admin", is_active=False)

    async def take_away(person: Person) -> int:
        if change is None:
            return (await client.delete(f"/{person.id}", headers=ada.headers)).status_code
        return (await client.put(f"/{person.id}", json=change, headers=ada.headers)).status_code

    assert await take_away(ada) == 409
    assert (await client.get("/", headers=ada.headers)).status_code == 200
    await client.put(f"/{idle.id}", json={"is_active": True}, headers=ada.headers)
    assert await take_away(ada) in (200, 204)
    assert (await client.get("/", headers=idle.headers)).status_code == 200


async def test_the_last_admin_may_change_the_rest(client: httpx.AsyncClient, ada: Person) -> None:
    """Name and address, with role and state as they are."""
    change = {"name": "Ada L.", "role": "admin", "is_active": True}
    assert (await client.put(f"/{ada.id}", json=change, headers=ada.headers)).status_code == 200


@pytest.mark.parametrize("way", ["demote", "deactivate", "delete"])
async def test_two_admins_taking_each_other_out_at_once(
    client: httpx.AsyncClient, kernel: KernelPlugin, ada: Person, add_person: AddPerson, way: str
) -> None:
    """Exactly one succeeds, and one active admin is left."""
    dan = await add_person("Dan", role="admin")
    for person in (ada, dan):
        assert (await client.get("/me", headers=person.headers)).status_code == 200

    async def take_out(victim: Person, by: Person) -> int:
        if way == "delete":
            return (await client.delete(f"/{victim.id}", headers=by.headers)).status_code
        change = {"role": "user"} if way == "demote" else {"is_active": False}
        return (await client.put(f"/{victim.id}", json=change, headers=by.headers)).status_code

    async with ahead_of(2, "SELECT id FROM users FOR UPDATE", kernel):
        attempts = [asyncio.create_task(take_out(dan, ada)), asyncio.create_task(take_out(ada, dan))]
    statuses = sorted(await asyncio.gather(*attempts))
    assert statuses == ([204, 409] if way == "delete" else [200, 409])
    async with kernel.database.unit_of_work(read_only=True) as work:
        left = await work.session.scalar(text("SELECT count(*) FROM users WHERE role = 'admin' AND is_active"))
    assert left == 1


async def test_without_a_cache_everything_still_answers(
    service: ServiceUnderTest, settings: Settings, client: httpx.AsyncClient, ada: Person, bob: Person
) -> None:
    """Redis away: each read asks the database, and a deactivated account is refused all the same."""
    alone = service.load(settings.database_url, "redis://127.0.0.1:1/0")
    app = service.create_app(alone)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # httpx types scopes as plain dicts
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://users.test") as http:
        assert (await http.get("/me", headers=bob.headers)).json()["name"] == "Bob"
        assert len((await http.get("/", headers=ada.headers)).json()) == 2
        assert (await http.get("/analytics", headers=bob.headers)).json()["total_users"] == 2
        assert (await http.put(f"/{bob.id}", json={"is_active": False}, headers=ada.headers)).status_code == 200
        assert (await http.get("/me", headers=bob.headers)).status_code == 401
