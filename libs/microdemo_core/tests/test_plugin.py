"""The plugin: what it refuses at boot, and what it answers for."""

import httpx
import pytest
from litestar import Litestar, get
from litestar.exceptions import ImproperlyConfiguredException

from microdemo_core.auth import requires_service
from microdemo_core.plugin import KernelPlugin
from microdemo_core.settings import Settings
from microdemo_core.testing.service import ServiceUnderTest
from microdemo_core.testing.tokens import Tokens

pytestmark = pytest.mark.anyio


def _app(settings: Settings, service: ServiceUnderTest, *handlers: object) -> Litestar:
    return Litestar(
        list(handlers),  # type: ignore[arg-type]  # any handler
        plugins=[KernelPlugin(settings, name="notes", migrations=service.migrations)],
    )


def test_a_route_without_a_guard_stops_the_boot(settings: Settings, service: ServiceUnderTest) -> None:
    """Forgetting a guard is found before the first request."""

    @get("/open", sync_to_thread=False)
    def forgotten() -> None: ...

    with pytest.raises(ImproperlyConfiguredException, match="/open has no guard"):
        _app(settings, service, forgotten)


async def test_an_unexpected_error_says_nothing_of_itself(
    settings: Settings, service: ServiceUnderTest, tokens: Tokens
) -> None:
    """A bug is a 500 problem without a word from inside."""

    @get("/bug", guards=[requires_service], sync_to_thread=False)
    def bug() -> None:
        raise RuntimeError("SELECT secret FROM vault")

    app = _app(settings, service, bug)
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:  # type: ignore[arg-type]
        answer = await client.get("/bug", headers=tokens.service("notes"))
        refused = await client.get("/bug", headers=tokens.admin())
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "vault" not in answer.text
    assert refused.status_code == 403


async def test_validation_names_the_field(client: httpx.AsyncClient, tokens: Tokens) -> None:
    """A wrong body is 422 with the field's path and what would be right."""
    answer = await client.post("/", json={"text": 5}, headers=tokens.user())
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "text", "message": "Expected `str`, got `int`"}]
    missing = await client.post("/", json={}, headers=tokens.user())
    assert missing.json()["errors"] == [{"field": "text", "message": "this is missing"}]


async def test_the_wrong_method_keeps_its_allow_header(client: httpx.AsyncClient, tokens: Tokens) -> None:
    """405 says what is allowed."""
    answer = await client.delete("/", headers=tokens.user())
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) >= {"GET", "POST"}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_another_owners_row_is_not_there(client: httpx.AsyncClient, tokens: Tokens) -> None:
    """Whether a row exists is not told to who may not read it."""
    created = (await client.post("/", json={"text": "mine"}, headers=tokens.user(2))).json()
    assert (await client.get(f"/{created['id']}", headers=tokens.user(3))).status_code == 404
    assert (await client.get(f"/{created['id']}", headers=tokens.admin())).json() == created


@pytest.mark.parametrize("path", ["/99999999999999999999999", "/-1", f"/{2**63}"])
async def test_a_number_no_row_can_have_is_not_there(client: httpx.AsyncClient, tokens: Tokens, path: str) -> None:
    """What PostgreSQL cannot hold is nobody's id, not our failure."""
    assert (await client.get(path, headers=tokens.user())).status_code in {404, 422}


async def test_text_no_column_can_hold_is_422(client: httpx.AsyncClient, tokens: Tokens) -> None:
    """PostgreSQL stores no NUL; the caller is told so, as the caller's mistake."""
    answer = await client.post("/", json={"text": "a\x00b"}, headers=tokens.user())
    assert answer.status_code == 422
    assert answer.json()["errors"]


@pytest.mark.parametrize(("prefix", "instance"), [("/notes", "/notes/7"), ("", "/7"), ("https://evil.example", "/7")])
async def test_a_problem_names_the_address_the_client_asked_for(
    client: httpx.AsyncClient, tokens: Tokens, prefix: str, instance: str
) -> None:
    """Behind the gateway the instance has the gateway's prefix."""
    answer = await client.get("/7", headers={**tokens.user(), "X-Forwarded-Prefix": prefix})
    assert answer.json()["instance"] == instance
