"""What any service on the kernel must hold to.

A service runs it against itself with one line::

    from microdemo_core.testing.contract import *  # noqa: F403

It reads the routes from the running app and the answers through HTTP, and knows nothing of the service but that.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from microdemo_core.auth import requires_service
from microdemo_core.db import MAX_LIMIT
from microdemo_core.plugin import KernelPlugin
from microdemo_core.testing.service import TEST_SECRET, ServiceUnderTest
from microdemo_core.testing.tokens import Tokens

__all__ = (
    "pytestmark",
    "test_a_body_that_is_no_json_is_refused",
    "test_a_list_pages",
    "test_a_list_refuses_what_it_cannot_page",
    "test_a_token_that_is_not_ours_is_401",
    "test_an_unknown_address_is_a_problem",
    "test_every_closed_route_asks_for_a_token",
    "test_health",
    "test_metrics",
    "test_migrations_say_what_the_models_say",
    "test_options_asks_for_no_token",
    "test_readiness",
    "test_request_id",
    "test_schema_document",
    "test_schema_page_is_self_contained",
    "test_version",
)

pytestmark = pytest.mark.anyio


class _Route(NamedTuple):
    method: str
    path: str
    template: str
    public: bool
    reads_json: bool
    handler: Any


def _routes(app: Litestar) -> Iterator[_Route]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        path = re.sub(r"\{[^}]*:int\}", "1", route.path_format if "{" not in route.path else route.path)
        path = re.sub(r"\{[^}]*\}", "x", path)
        for handler in route.route_handlers:
            field = handler.parsed_data_field
            reads_json = field is not None and "multipart" not in str(getattr(field.kwarg_definition, "media_type", ""))
            for method in handler.http_methods - {"OPTIONS", "HEAD"}:
                yield _Route(method, path, route.path, bool(handler.opt.get("public")), reads_json, handler)


def _lists(app: Litestar) -> list[_Route]:
    return [
        route
        for route in _routes(app)
        if route.method == "GET" and "page" in route.handler.parsed_fn_signature.parameters
    ]


def _forge(claims: dict[str, Any], key: str, header: dict[str, Any]) -> str:
    """A compact JWS made by hand, since python-jose refuses to make most of these."""

    def part(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    signed = f"{part(msgspec.json.encode(header))}.{part(msgspec.json.encode(claims))}"
    signature = b"" if header["alg"] == "none" else hmac.digest(key.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{part(signature)}"


def _assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    document = dict(answer.json())
    assert document["status"] == status
    assert document["type"]
    assert document["title"]
    assert document["detail"].endswith((".", "!", "?")), "detail is a sentence for a person"
    assert document["instance"].startswith("/")
    return document


async def test_health(client: httpx.AsyncClient) -> None:
    """Liveness is exactly this document."""
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, '{"status":"healthy"}')


async def test_readiness(client: httpx.AsyncClient) -> None:
    """With its database migrated and its cache there, a service is ready and whole."""
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "degraded": []})


async def test_version(client: httpx.AsyncClient, service: ServiceUnderTest) -> None:
    """The version names the service."""
    answer = await client.get("/version")
    assert answer.json().keys() == {"name", "version", "commit"}
    assert answer.json()["name"] == service.name


async def test_metrics(client: httpx.AsyncClient) -> None:
    """Requests are counted by route template."""
    await client.get("/healthz")
    answer = await client.get("/metrics")
    assert 'http_requests_total{method="GET",route="/healthz",status="200"}' in answer.text


async def test_request_id(client: httpx.AsyncClient) -> None:
    """A harmless request ID is kept, any other is replaced."""
    kept = await client.get("/healthz", headers={"X-Request-ID": "abc-123"})
    replaced = await client.get("/healthz", headers={"X-Request-ID": "a b\tc"})
    assert kept.headers.get_list("x-request-id") == ["abc-123"]
    assert re.fullmatch(r"[0-9a-f]{32}", replaced.headers["x-request-id"])


async def test_an_unknown_address_is_a_problem(client: httpx.AsyncClient) -> None:
    """404 is a problem document like any other error."""
    document = _assert_problem(await client.get("/no/such/address"), 404)
    assert document["instance"] == "/no/such/address"


async def test_every_closed_route_asks_for_a_token(client: httpx.AsyncClient, app: Litestar) -> None:
    """Without a token every route but the public ones answers 401, before it looks at anything else."""
    closed = [route for route in _routes(app) if not route.public]
    assert closed, "a service without a closed route needs no kernel"
    for route in closed:
        answer = await client.request(route.method, route.path)
        _assert_problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer", route


async def test_options_asks_for_no_token(client: httpx.AsyncClient, app: Litestar) -> None:
    """OPTIONS is answered for every address, closed or public."""
    for route in _routes(app):
        answer = await client.options(route.path)
        assert answer.status_code == 204, route
        assert "allow" in answer.headers


@pytest.mark.parametrize("flaw", ["garbage", "expired", "audience", "issuer", "key", "alg none", "no exp", "crit"])
async def test_a_token_that_is_not_ours_is_401(client: httpx.AsyncClient, app: Litestar, flaw: str) -> None:
    """Whatever is wrong with a token, the answer is 401 and quotes nothing of it."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": "users", "aud": "microdemo", "sub": "1", "role": "admin",
        "iat": now, "nbf": now, "exp": now + 60, "jti": "j",
    }  # fmt: skip
    header: dict[str, Any] = {"alg": "HS256", "typ": "JWT"}
    key = TEST_SECRET
    match flaw:
        case "expired":
            claims |= {"iat": now - 120, "nbf": now - 120, "exp": now - 60}
        case "audience":
            claims["aud"] = "another"
        case "issuer":
            claims["iss"] = "orders"
        case "key":
            key = "another key of the very same length, or so"
        case "no exp":
            del claims["exp"]
        case "crit":
            header["crit"] = ["b64"]
        case "alg none":
            header["alg"] = "none"
    token = "not.a.token" if flaw == "garbage" else _forge(claims, key, header)
    route = next(route for route in _routes(app) if not route.public and route.method == "GET")
    answer = await client.get(route.path, headers={"Authorization": f"Bearer {token}"})
    _assert_problem(answer, 401)
    assert token not in answer.text


@pytest.mark.parametrize(
    ("content_type", "content", "status"),
    [("application/json", b'{"broken', 400), ("application/x-www-form-urlencoded", b"{}", 415)],
)
async def test_a_body_that_is_no_json_is_refused(
    client: httpx.AsyncClient,
    app: Litestar,
    service: ServiceUnderTest,
    admin: dict[str, str],
    tokens: Tokens,
    content_type: str,
    content: bytes,
    status: int,
) -> None:
    """Unreadable is 400, another type is 415; neither is mistaken for well-formed but invalid."""
    for route in _routes(app):
        if not route.reads_json:
            continue
        caller = tokens.service(service.name) if requires_service in route.handler.resolve_guards() else admin
        headers = {**({} if route.public else caller), "Content-Type": content_type}
        answer = await client.request(route.method, route.path, content=content, headers=headers)
        _assert_problem(answer, status)


async def test_a_list_pages(client: httpx.AsyncClient, app: Litestar, admin: dict[str, str]) -> None:
    """A list is a bare array with its total and its links in headers."""
    for route in _lists(app):
        answer = await client.get(route.path, headers=admin)
        assert answer.status_code == 200, route
        assert isinstance(answer.json(), list), route
        assert int(answer.headers["x-total-count"]) >= len(answer.json())
        assert 'rel="first"' in answer.headers["link"]


async def test_a_list_refuses_what_it_cannot_page(
    client: httpx.AsyncClient, app: Litestar, admin: dict[str, str]
) -> None:
    """Each wrong paging parameter is a 422 that names it."""
    wrong = {"skip": "-1", "limit": str(MAX_LIMIT + 1), "sort": "no_such_field", "cursor": "not-ours"}
    for route in _lists(app):
        for name, value in wrong.items():
            document = _assert_problem(await client.get(route.path, params={name: value}, headers=admin), 422)
            assert [error["field"] for error in document["errors"]] == [name]


async def test_schema_document(client: httpx.AsyncClient, app: Litestar) -> None:
    """OpenAPI 3.1 with unique operation ids, and security on exactly the closed routes."""
    document = (await client.get("/schema/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    operations = [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]
    ids = [operation["operationId"] for _, _, operation in operations]
    assert len(ids) == len(set(ids))
    public = {(route.method.lower(), route.template) for route in _routes(app) if route.public}
    for method, path, operation in operations:
        template = path if (method, path) in public else re.sub(r":\w+\}", "}", path)
        closed = operation.get("security", document.get("security", [])) not in ([], [{}])
        is_public = (method, template) in {(m, re.sub(r":\w+\}", "}", t)) for m, t in public}
        assert closed is not is_public, (method, path)


async def test_schema_page_is_self_contained(client: httpx.AsyncClient) -> None:
    """The API's page asks no other host for anything."""
    answer = await client.get("/schema", follow_redirects=True)
    assert answer.status_code == 200
    assert "text/html" in answer.headers["content-type"]
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", answer.text)
    assert "script-src" in answer.headers["content-security-policy"]


async def test_migrations_say_what_the_models_say(app: Litestar) -> None:
    """No model differs from what the migrations build."""
    kernel = app.plugins.get(KernelPlugin)
    assert await kernel.migrations.differences(kernel.database.engine) == []
