"""Registration and login."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from jose import jwt
from litestar import Litestar
from sqlalchemy import select

from microdemo_core.auth import PARAMETERS
from microdemo_core.plugin import KernelPlugin
from microdemo_users.models import User

from .conftest import PASSWORD, AddPerson, Person, field_errors

pytestmark = pytest.mark.anyio

CAROL = {"name": "Carol", "email": "Carol@Example.com", "password": PASSWORD}


def bearer(answer: httpx.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


class Hasher(PasswordHasher):
    """Counts, and looks how many database connections are out while it works."""

    def __init__(self, kernel: KernelPlugin) -> None:
        super().__init__(memory_cost=19 * 1024, time_cost=2, parallelism=1)
        self._kernel = kernel
        self.count = 0
        self.connections_out = 0

    def hash(self, *args: Any, **kwargs: Any) -> str:
        self._look()
        return super().hash(*args, **kwargs)

    def verify(self, *args: Any, **kwargs: Any) -> Any:
        self._look()
        return super().verify(*args, **kwargs)

    def _look(self) -> None:
        self.count += 1
        self.connections_out += self._kernel.database.engine.pool.checkedout()  # type: ignore[attr-defined]  # QueuePool


@pytest.fixture
async def hasher(app: Litestar, kernel: KernelPlugin, monkeypatch: pytest.MonkeyPatch) -> Hasher:
    counting = Hasher(kernel)
    monkeypatch.setattr(await app.dependencies["passwords"](), "_hasher", counting)
    return counting


async def test_registering_signs_in(client: httpx.AsyncClient) -> None:
    """201 with a token that works at once, for an ordinary and active account."""
    answer = await client.post("/register", json=CAROL)
    assert answer.status_code == 201
    assert answer.json().keys() == {"access_token", "token_type", "expires_in"}
    assert answer.json()["token_type"] == "bearer"
    assert answer.json()["expires_in"] == 1800
    me = (await client.get("/me", headers=bearer(answer))).json()
    assert me | {"id": 0, "created_at": ""} == {
        "id": 0,
        "name": "Carol",
        "email": "Carol@Example.com",
        "role": "user",
        "is_active": True,
        "preferences": {},
        "created_at": "",
    }


async def test_the_token_says_who_and_until_when(client: httpx.AsyncClient) -> None:
    """Subject, role, issuer, audience and the announced lifetime."""
    answer = await client.post("/register", json=CAROL)
    claims = jwt.get_unverified_claims(answer.json()["access_token"])
    assert (claims["role"], claims["iss"], claims["aud"]) == ("user", "users", "microdemo")
    assert claims["exp"] - claims["iat"] == 1800
    assert claims["iat"] <= time.time()
    assert "must_change_password" not in claims


async def test_nobody_registers_as_admin(client: httpx.AsyncClient) -> None:
    """A role in the body is an unknown field like any other: ignored."""
    answer = await client.post("/register", json=CAROL | {"role": "admin", "is_active": False, "id": 99})
    me = (await client.get("/me", headers=bearer(answer))).json()
    assert (me["role"], me["is_active"]) == ("user", True)
    assert me["id"] != 99


async def test_names_and_addresses_are_trimmed(client: httpx.AsyncClient) -> None:
    """Blanks around them are not part of them."""
    answer = await client.post("/register", json=CAROL | {"name": "  Carol C. ", "email": " carol@example.com\n"})
    me = (await client.get("/me", headers=bearer(answer))).json()
    assert (me["name"], me["email"]) == ("Carol C.", "carol@example.com")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "a\nb"),
        ("name", "a\0b"),
        ("name", "x" * 201),
        ("name", 5),
        ("name", None),
        ("email", "carol"),
        ("email", "carol@"),
        ("email", "@example.com"),
        ("email", "a@b@c"),
        ("email", "car ol@example.com"),
        ("email", "carol\0@example.com"),
        ("email", "c@" + "x" * 260),
        ("password", "short12"),
        ("password", "x" * 257),
        ("password", None),
    ],
)
async def test_what_registration_refuses(client: httpx.AsyncClient, field: str, value: object) -> None:
    """422 that names the field."""
    assert field_errors(await client.post("/register", json=CAROL | {field: value})) == [field]


@pytest.mark.parametrize("password", ["x" * 8, "é" * 256, "\0" * 8])
async def test_a_password_has_8_to_256_characters(client: httpx.AsyncClient, password: str) -> None:
    """Both ends included, in characters and not in bytes; any characters."""
    assert (await client.post("/register", json=CAROL | {"password": password})).status_code == 201
    login = await client.post("/login", json={"email": CAROL["email"], "password": password})
    assert login.status_code == 200


async def test_a_missing_field_is_422(client: httpx.AsyncClient) -> None:
    """Well-formed, but not what was asked for."""
    answer = await client.post("/register", json={"name": "Carol", "email": "carol@example.com"})
    assert answer.status_code == 422
    assert "password" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/register", "/login"])
async def test_unreadable_bodies(client: httpx.AsyncClient, path: str) -> None:
    """400 for what is no JSON, 422 for JSON of another shape."""
    headers = {"Content-Type": "application/json"}
    assert (await client.post(path, content=b"{", headers=headers)).status_code == 400
    assert (await client.post(path, content=b"\xff\xfe", headers=headers)).status_code == 400
    assert (await client.post(path, content=b"[" * 100_000, headers=headers)).status_code == 400
    assert (await client.post(path, content=b"[]", headers=headers)).status_code == 422


@pytest.mark.parametrize("path", ["/register", "/login"])
async def test_a_body_of_another_type_is_415(client: httpx.AsyncClient, path: str) -> None:
    """Only JSON is read as JSON."""
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        answer = await client.post(path, content=b"name=Carol", headers={"Content-Type": kind})
        assert answer.status_code == 415, kind


async def test_a_taken_address_is_409(client: httpx.AsyncClient) -> None:
    """Whatever its case."""
    await client.post("/register", json=CAROL)
    answer = await client.post("/register", json=CAROL | {"email": "cAROL@example.COM"})
    assert answer.status_code == 409
    assert "email" in answer.json()["detail"]


async def test_one_address_registered_many_times_at_once(client: httpx.AsyncClient) -> None:
    """Exactly one gets it."""
    addresses = ["dan@example.com", "Dan@example.com", "DAN@EXAMPLE.COM", "dan@Example.com"] * 2
    answers = await asyncio.gather(
        *(client.post("/register", json=CAROL | {"email": address}) for address in addresses)
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


async def test_login(client: httpx.AsyncClient, bob: Person) -> None:
    """200 with a token, whatever the address's case and the blanks around it."""
    for email in ("bob@example.com", "BOB@Example.COM", " bob@example.com "):
        answer = await client.post("/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200, email
        assert (await client.get("/me", headers=bearer(answer))).json()["id"] == bob.id


async def test_every_failing_login_costs_and_says_the_same(
    client: httpx.AsyncClient, add_person: AddPerson, bob: Person, hasher: Hasher
) -> None:
    """One hash and one body for a wrong password, an unknown address, a closed account and one without a password."""
    await add_person("Closed", is_active=False)
    await add_person("Fresh", password_hash=None)
    attempts = {
        bob.email: "not the password",
        "nobody@example.com": PASSWORD,
        "closed@example.com": PASSWORD,
        "fresh@example.com": PASSWORD,
    }
    bodies = set()
    for email, password in attempts.items():
        before = hasher.count
        answer = await client.post("/login", json={"email": email, "password": password})
        assert answer.status_code == 401, email
        assert hasher.count - before == 1, email
        assert answer.headers["www-authenticate"] == "Bearer"
        bodies.add(answer.content)
    assert len(bodies) == 1


@pytest.mark.parametrize("email", ["", "no address", "a\0b@example.com", "@" * 300, "x" * 100_000])
async def test_what_is_no_address_is_no_account(client: httpx.AsyncClient, email: str) -> None:
    """401 like any other unknown account."""
    answer = await client.post("/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 401


async def test_an_old_hash_is_renewed(client: httpx.AsyncClient, kernel: KernelPlugin, add_person: AddPerson) -> None:
    """Signing in replaces a hash of other parameters, and the password stays the same."""
    weak = PasswordHasher(memory_cost=1024, time_cost=1, parallelism=1)
    eve = await add_person("Eve", password_hash=weak.hash(PASSWORD))
    credentials = {"email": eve.email, "password": PASSWORD}
    assert (await client.post("/login", json=credentials)).status_code == 200
    async with kernel.database.unit_of_work(read_only=True) as work:
        stored = await work.session.scalar(select(User.password_hash).where(User.id == eve.id))
    assert stored is not None
    assert not PARAMETERS.check_needs_rehash(stored)
    assert (await client.post("/login", json=credentials)).status_code == 200


async def test_no_connection_waits_for_a_hash(client: httpx.AsyncClient, bob: Person, hasher: Hasher) -> None:
    """Whatever computes one does so before it takes a connection, or after it gave it back."""
    admin = bob.headers
    assert (await client.post("/register", json=CAROL)).status_code == 201
    assert (await client.post("/login", json={"email": bob.email, "password": PASSWORD})).status_code == 200
    change = {"current_password": PASSWORD, "new_password": "another password"}
    assert (await client.post("/me/password", json=change, headers=admin)).status_code == 204
    assert hasher.count == 4
    assert hasher.connections_out == 0
