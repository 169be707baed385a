"""The plugin: what it refuses at boot, and what it answers for."""

from typing import Annotated, Any

import httpx
import pytest
from litestar import Litestar, WebSocket, asgi, get, post, route, websocket
from litestar.exceptions import ImproperlyConfiguredException
from litestar.params import FromQuery, JSONBody
from litestar.types import Receive, Scope, Send
from msgspec import Meta, Struct

from microdemo_core.auth import PUBLIC, requires_admin, requires_service
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


def test_no_kind_of_handler_is_open_by_mistake(settings: Settings, service: ServiceUnderTest) -> None:
    """Web sockets and mounted applications need a guard too, and OPTIONS, of which no token is asked, is Litestar's."""

    @websocket("/socket")
    async def listen(socket: WebSocket[Any, Any, Any]) -> None: ...

    @asgi("/mounted", is_mount=True, copy_scope=True)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None: ...

    @route("/both", http_method=["GET", "OPTIONS"], guards=[requires_admin])
    async def both() -> None: ...

    for handler, sentence in ((listen, "/socket has no guard"), (mounted, "/mounted"), (both, "OPTIONS asks for no")):
        with pytest.raises(ImproperlyConfiguredException, match=sentence):
            _app(settings, service, handler)


def test_a_parameter_with_a_dependencys_name_stops_the_boot(settings: Settings, service: ServiceUnderTest) -> None:
    """Otherwise ``?page=2`` would silently be the kernel's page."""

    @get("/list", guards=[requires_admin])
    async def listed(page: FromQuery[int]) -> None: ...

    with pytest.raises(ImproperlyConfiguredException, match="parameter 'page'"):
        _app(settings, service, listed)


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


@pytest.mark.parametrize("body", [b'{"text":"\xff"}', b"[" * 200_000, b'{"text":', b'{"text":"\\ud800"}'])
async def test_a_body_that_cannot_be_read_is_400(client: httpx.AsyncClient, tokens: Tokens, body: bytes) -> None:
    """Whatever the decoder stumbles over is the caller's mistake, never a 500."""
    headers = {**tokens.user(), "Content-Type": "application/json"}
    answer = await client.post("/", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_that_is_not_there_is_named(client: httpx.AsyncClient, tokens: Tokens) -> None:
    """422: there is nothing to be read."""
    answer = await client.post("/", content=b"", headers={**tokens.user(), "Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "body", "message": "this is missing"}]


class Thing(Struct):
    sku: Annotated[str, Meta(pattern=r"^[A-Z']+\Z", description="capitals and apostrophes")]
    codes: list[Annotated[str, Meta(pattern="^x$")]]


async def test_a_pattern_is_told_in_words(settings: Settings, service: ServiceUnderTest) -> None:
    """Where the type has a description it stands for the regular expression."""

    @post("/things", opt=PUBLIC)
    async def create(data: JSONBody[Thing]) -> None: ...

    app = _app(settings, service, create)
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:  # type: ignore[arg-type]
        told = await client.post("/things", json={"sku": "a", "codes": []})
        plain = await client.post("/things", json={"sku": "A'", "codes": ["x", "y"]})
    assert told.json()["errors"] == [{"field": "sku", "message": "this should be capitals and apostrophes"}]
    assert plain.json()["errors"] == [{"field": "codes[1]", "message": "this should be of the form ^x$"}]


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
