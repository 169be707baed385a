"""What /schema promises: our own files only, no inline script, and URLs that survive a stripped prefix."""

import gzip
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.params import FromQuery, JSONBody
from litestar.plugins import ReceiveRoutePlugin
from litestar.plugins.problem_details import ProblemDetailsPlugin
from litestar.routes import BaseRoute
from litestar.testing import TestClient

from microdemo_core.openapi import lift_security, openapi_config, problems
from microdemo_core.problems import Conflict, NotFound

Client = TestClient[Litestar]


class InsufficientStock(Conflict):
    """Too little stock."""


class StillReserved(Conflict):
    """Stock is reserved."""


class Line(msgspec.Struct):
    sku: str


@get("/version", opt={"public": True})
async def version() -> str:
    return "1"


@get("/", responses=problems(NotFound))
async def lines(limit: FromQuery[int] = 500) -> list[Line]:
    """All lines."""
    return [Line("A")] * limit


@post("/", responses=problems(InsufficientStock, StillReserved))
async def create(data: JSONBody[Line]) -> Line:
    return data


class _Public(ReceiveRoutePlugin):
    def receive_route(self, route: BaseRoute) -> None:
        lift_security(route)


@pytest.fixture(name="client")
def _client() -> Iterator[Client]:
    app = Litestar(
        [version, lines, create],
        openapi_config=openapi_config(title="Users <&> co", version="1.2", description="For *people*."),
        plugins=[_Public(), ProblemDetailsPlugin()],
    )
    with TestClient(app) as client:
        yield client


@pytest.fixture(name="document")
def _document(client: Client) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/schema/openapi.json").json()
    return document


def _linked(page: str) -> list[str]:
    return re.findall(r'(?:src|href|data-document)="(?!data:)([^"]+)"', page)


@pytest.mark.parametrize("seen", ["/schema", "/schema/"])
@pytest.mark.parametrize("prefix", ["", "/users"])
def test_everything_the_page_links_is_there_behind_a_prefix_and_without(client: Client, seen: str, prefix: str) -> None:
    """Each relative URL, resolved as the browser does and with the prefix taken off again, is served."""
    page = client.get(seen)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    linked = _linked(page.text)
    assert len(linked) == 6
    for url in linked:
        absolute = urljoin(f"http://host{prefix}{seen}", url).removeprefix("http://host")
        assert absolute.startswith(f"{prefix}/schema/")
        assert client.get(absolute.removeprefix(prefix)).status_code == 200


def test_a_query_does_not_move_the_page(client: Client) -> None:
    """The slash that counts is the path's, not one in the query."""
    assert _linked(client.get("/schema?to=a/").text) == _linked(client.get("/schema").text)


def test_the_page_needs_no_inline_code_and_no_other_host(client: Client) -> None:
    """The policy forbids both, so the page must hold neither."""
    page = client.get("/schema")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=|//", page.text)
    assert "<title>Users &lt;&amp;&gt; co</title>" in page.text


def test_assets_may_be_kept_for_ever(client: Client) -> None:
    """Their names hold a hash; they come gzipped to those who can read that, and are the same to those who cannot."""
    scripts = [url for url in _linked(client.get("/schema").text) if url.endswith(".js")]
    assert len(scripts) == 2
    for url in scripts:
        with client.stream("GET", f"/{url}", headers={"Accept-Encoding": "gzip, br"}) as packed:
            content = gzip.decompress(b"".join(packed.iter_raw()))
        plain = client.get(f"/{url}", headers={"Accept-Encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert plain.content == content
        for answer in (packed, plain):
            assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["vary"] == "Accept-Encoding"
            assert {"public", "immutable"} < set(answer.headers["cache-control"].split(", "))


@pytest.mark.parametrize("path", ["/schema/nothing", "/schema/assets/init.js"])
def test_an_unknown_page_is_a_problem_document(client: Client, path: str) -> None:
    """Litestar's own answer below /schema would be a page."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_server_is_relative_to_the_document(document: dict[str, Any]) -> None:
    """Resolved against the document's URL it is the service's root, wherever a gateway has put it."""
    (server,) = document["servers"]
    assert document["openapi"].startswith("3.1")
    assert urljoin("http://host/users/schema/openapi.json", server["url"]) == "http://host/users/"
    assert urljoin("http://host:8001/schema/openapi.json", server["url"]) == "http://host:8001/"


def test_a_token_is_needed_unless_the_route_is_public(document: dict[str, Any]) -> None:
    """The bearer scheme is the document's default; a public route says that it needs nothing, and cannot answer 401."""
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert "security" not in document["paths"]["/"]["get"]
    assert "401" in document["paths"]["/"]["get"]["responses"]
    assert document["paths"]["/version"]["get"]["security"] == []
    assert "401" not in document["paths"]["/version"]["get"]["responses"]


def test_every_error_has_the_problem_shape(document: dict[str, Any]) -> None:
    """Each operation's every answer from 400 up, the default one too, is a problem document."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) == 3
    for operation in operations:
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "4"}
        assert "default" in errors
        for answer in errors.values():
            name = answer.get("$ref", "").removeprefix("#/components/responses/")
            content = (document["components"]["responses"][name] if name else answer)["content"]
            assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    shape = document["components"]["schemas"]["ProblemDetails"]
    assert set(shape["properties"]) == {"type", "title", "status", "detail", "instance", "errors"}
    assert shape["properties"]["errors"]["items"]["$ref"] == "#/components/schemas/FieldError"
    assert "FieldError" in document["components"]["schemas"]


def test_what_a_handler_raises_stands_beside_the_default_errors(document: dict[str, Any]) -> None:
    """Kinds are described by their own sentence, those with one status together."""
    create_, list_ = document["paths"]["/"]["post"]["responses"], document["paths"]["/"]["get"]["responses"]
    assert set(create_) == {"201", "400", "401", "409", "422", "default"}
    assert create_["409"]["description"] == "Too little stock. Stock is reserved."
    assert set(list_) == {"200", "401", "404", "422", "default"}
    assert list_["404"]["description"] == "Not Found."


def test_the_problem_shape_is_there_even_if_no_handler_names_one() -> None:
    """The default errors refer to it."""
    app = Litestar([version], openapi_config=openapi_config(title="Small", version="1"))
    with TestClient(app) as client:
        schemas = client.get("/schema/openapi.json").json()["components"]["schemas"]
    assert set(schemas) == {"ProblemDetails", "FieldError"}
