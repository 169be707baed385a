"""What a client may say about versions it has seen, and what it is answered."""

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar, Response, get, put

from microdemo_core.conditional import (
    IfMatch,
    IfNoneMatch,
    StaleVersion,
    conditional_response,
    entity_tag,
    require_match,
)
from microdemo_core.errors import exception_handlers

pytestmark = pytest.mark.anyio

CURRENT = entity_tag(7, 3)


def test_a_tag_is_quoted_and_strong() -> None:
    """An id and a version make one tag, quotes included."""
    assert entity_tag(7, 3) == '"7.3"'
    assert entity_tag("9f-0a_B") == '"9f-0a_B"'


@pytest.mark.parametrize("part", ['a"b', "a b", "", "ü", "a,b"])
def test_a_tag_that_would_need_escaping_is_refused(part: str) -> None:
    """What cannot stand in a header is a programmer's error."""
    with pytest.raises(ValueError, match="escaping"):
        entity_tag(part)


@pytest.mark.parametrize("header", [None, "*", " * ", '"7.3"', '"7.2", "7.3"', '"a,b",\t"7.3"', ',, "7.3" ,'])
def test_a_change_goes_through_where_its_version_is_current(header: str | None) -> None:
    """No header, a star, and the current tag anywhere in a list all let a change through."""
    require_match(header, CURRENT)


@pytest.mark.parametrize(
    "header", ['"7.2"', 'W/"7.3"', "7.3", "", '"7.3', '"7.3" x', '"7.2" "7.3"', "'7.3'", '"*"', '*, "7.3"']
)
def test_a_change_is_refused_where_it_may_overwrite(header: str) -> None:
    """Stale, weak and unreadable tags are all 412, and the answer names the current one."""
    with pytest.raises(StaleVersion) as refused:
        require_match(header, CURRENT)
    assert refused.value.status_code == 412
    assert refused.value.headers == {"ETag": CURRENT}


@get("/")
async def read(if_none_match: IfNoneMatch = None) -> Response[dict[str, int]]:
    return conditional_response(if_none_match, {"n": 1}, CURRENT)


@get("/bytes")
async def read_bytes(if_none_match: IfNoneMatch = None) -> Response[dict[str, int]]:
    return conditional_response(if_none_match, b'{"n":1}', CURRENT)


@put("/")
async def change(if_match: IfMatch = None) -> None:
    require_match(if_match, CURRENT)


@pytest.fixture
async def reader() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar([read, read_bytes, change], exception_handlers=exception_handlers())
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # httpx types scopes as plain dicts
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as http:
        yield http


@pytest.mark.parametrize("path", ["/", "/bytes"])
async def test_the_whole_carries_its_tag(reader: httpx.AsyncClient, path: str) -> None:
    """Without a condition the answer is the content, its tag, and leave to keep it if one asks each time."""
    answer = await reader.get(path)
    assert (answer.status_code, answer.content) == (200, b'{"n":1}')
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["etag"] == CURRENT
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("header", [CURRENT, f"W/{CURRENT}", f'"7.2", {CURRENT}', "*"])
async def test_what_is_known_is_not_sent_again(reader: httpx.AsyncClient, header: str) -> None:
    """304 without a body, with the tag; a tag that a compressing gateway made weak counts as well."""
    answer = await reader.get("/", headers={"If-None-Match": header})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == CURRENT
    assert "content-type" not in answer.headers
    assert answer.headers.get("content-length", "0") == "0"


@pytest.mark.parametrize("header", ['"7.2"', "7.3", '"7.3', ""])
async def test_what_is_not_known_is_sent(reader: httpx.AsyncClient, header: str) -> None:
    """Another tag, and a header that cannot be read, get the whole."""
    answer = await reader.get("/", headers={"If-None-Match": header})
    assert answer.status_code == 200


async def test_a_stale_change_is_a_problem(reader: httpx.AsyncClient) -> None:
    """412 is a problem document with the current tag."""
    answer = await reader.put("/", headers={"If-Match": '"7.2"'})
    assert answer.status_code == 412
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers["etag"] == answer.json()["current"] == CURRENT


async def test_a_long_header_takes_no_time(reader: httpx.AsyncClient) -> None:
    """A header made to keep a regular expression busy is read in one pass."""
    for hostile in ('"7.3"' + " ," * 30_000 + "x", '"' * 60_000, 'W/"a",' * 10_000 + "x"):
        answer = await reader.get("/", headers={"If-None-Match": hostile})
        assert answer.status_code == 200
