"""Lists: skip and limit, keyset walks, sorting, and the headers that describe them."""

import re

import httpx
import pytest
from sqlalchemy import text

from microdemo_core.plugin import KernelPlugin
from microdemo_core.testing.tokens import Tokens

pytestmark = pytest.mark.anyio


@pytest.fixture
async def notes(client: httpx.AsyncClient, kernel: KernelPlugin) -> httpx.AsyncClient:
    """Eleven notes of user 2, one of another."""
    async with kernel.database.unit_of_work() as uow:
        await uow.session.execute(
            text(
                "INSERT INTO notes (user_id, text) SELECT CASE WHEN n = 5 THEN 3 ELSE 2 END, 'note ' || n "
                "FROM generate_series(1, 12) n"
            )
        )
    return client


def _links(answer: httpx.Response) -> dict[str, str]:
    return {relation: target for target, relation in re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers["link"])}


async def test_skip_and_limit(notes: httpx.AsyncClient, tokens: Tokens) -> None:
    """Owner first, then the page; the links lead to the pages that exist."""
    answer = await notes.get("/", params={"skip": 4, "limit": 4}, headers=tokens.user(2))
    assert [note["id"] for note in answer.json()] == [6, 7, 8, 9]
    assert answer.headers["x-total-count"] == "11"
    assert _links(answer) == {
        "first": "?skip=0&limit=4",
        "prev": "?skip=0&limit=4",
        "next": "?skip=8&limit=4",
        "last": "?skip=8&limit=4",
    }


async def test_the_last_page_has_no_next(notes: httpx.AsyncClient, tokens: Tokens) -> None:
    """Beyond the end there is nothing, and no link there."""
    answer = await notes.get("/", params={"skip": 8, "limit": 4}, headers=tokens.user(2))
    assert len(answer.json()) == 3
    assert "next" not in _links(answer)


@pytest.mark.parametrize("sort", ["id", "-id"])
async def test_a_keyset_walk_sees_every_row_once(notes: httpx.AsyncClient, tokens: Tokens, sort: str) -> None:
    """Following ``next`` from an empty cursor visits all rows in order, though rows come in meanwhile."""
    url, seen = f"/?cursor=&limit=3&sort={sort}", []
    while url:
        answer = await notes.get(url, headers=tokens.user(2))
        seen += [note["id"] for note in answer.json()]
        url = "/" + target if (target := _links(answer).get("next")) else ""
        if sort == "-id":
            await notes.post("/", json={"text": "newer"}, headers=tokens.user(2))
    expected = [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
    assert seen == (expected if sort == "id" else expected[::-1])


async def test_a_cursor_of_another_order_is_refused(notes: httpx.AsyncClient, tokens: Tokens) -> None:
    """A cursor carries its sort order."""
    first = await notes.get("/?cursor=&limit=3&sort=id", headers=tokens.user(2))
    cursor = re.search(r"cursor=([\w%-]+)&", _links(first)["next"])
    assert cursor
    answer = await notes.get(f"/?cursor={cursor[1]}&sort=-id", headers=tokens.user(2))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize("cursor", ["AAAA", "W10", "WyJpZCIsWyJ4IiwxXV0", "%00", "é", "a" * 5000])
async def test_a_forged_cursor_is_422(notes: httpx.AsyncClient, tokens: Tokens, cursor: str) -> None:
    """Whatever a cursor holds, it is refused in words."""
    answer = await notes.get("/", params={"cursor": cursor}, headers=tokens.user(2))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "cursor"


async def test_links_that_no_gateway_would_pass_on_are_left_out(notes: httpx.AsyncClient, tokens: Tokens) -> None:
    """The query stands in every link, and headers have to fit a proxy's buffer; the count is there all the same."""
    answer = await notes.get("/", params={"unknown": "x" * 5000}, headers=tokens.user(2))
    assert answer.headers["x-total-count"] == "11"
    assert "link" not in answer.headers
