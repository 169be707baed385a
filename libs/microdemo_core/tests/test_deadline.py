"""Deadlines: in one task, and over HTTP."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar, get
from litestar.response import Stream

from microdemo_core.deadline import (
    HEADER,
    DeadlineExceeded,
    RequestDeadline,
    deadline,
    format_budget,
    parse_budget,
    remaining,
)
from microdemo_core.errors import exception_handlers

pytestmark = pytest.mark.anyio


async def test_a_block_out_of_time_ends_with_a_504() -> None:
    """What still runs at the deadline is cancelled, and the error is a problem."""
    with pytest.raises(DeadlineExceeded) as caught:
        async with deadline(0.01):
            await asyncio.Event().wait()
    assert caught.value.status_code == 504
    assert remaining() is None


async def test_a_nested_deadline_cannot_lengthen() -> None:
    """The outer deadline ends the inner block too, and the error comes from the outer one."""
    seen: list[object] = []

    async def nested() -> None:
        async with deadline(0.02):
            try:
                async with deadline(60):
                    seen.append(remaining())
                    await asyncio.Event().wait()
            except DeadlineExceeded as error:
                seen.append(error)

    with pytest.raises(DeadlineExceeded):
        await nested()
    [left] = seen
    assert isinstance(left, float)
    assert left <= 0.021


async def test_a_nested_deadline_can_shorten() -> None:
    """The inner block fails alone; the outer one goes on with its own time."""
    async with deadline(60):
        with pytest.raises(DeadlineExceeded):
            async with deadline(0.01):
                await asyncio.Event().wait()
        left = remaining()
        assert left is not None
        assert left > 1


async def test_somebody_elses_timeout_is_left_alone() -> None:
    """A TimeoutError from inside the block is not taken for the deadline's."""
    with pytest.raises(TimeoutError, match="theirs"):
        async with deadline(60):
            raise TimeoutError("theirs")


async def test_no_time_is_left_after_the_deadline() -> None:
    """While the cancelled block cleans up, the remaining time is 0, not negative."""
    seen: list[float | None] = []

    async def tidy() -> None:
        async with deadline(0.01):
            try:
                await asyncio.Event().wait()
            finally:
                seen.append(remaining())

    with pytest.raises(DeadlineExceeded):
        await tidy()
    assert seen == [0]


@pytest.mark.parametrize("text", [None, "", "0", "-5", "1.5", "1e3", " 7", "soon", "٣", "1" * 10])
def test_a_bad_budget_is_no_budget(text: str | None) -> None:
    """Whatever is not a positive whole number of milliseconds is ignored."""
    assert parse_budget(text) is None


def test_a_budget_travels_in_milliseconds() -> None:
    """It is rounded down, so that a peer gives up before its caller."""
    assert format_budget(1.2999) == "1299"
    assert parse_budget("1299") == 1.299


@get("/slow")
async def slow() -> None:
    await asyncio.Event().wait()


@get("/left")
async def left() -> float | None:
    return remaining()


@get("/patient", opt={"deadline_seconds": 300})
async def patient() -> float | None:
    return remaining()


@get("/stream")
async def stream() -> Stream:
    async def chunks() -> AsyncIterator[str]:
        yield "one "
        await asyncio.sleep(0.4)
        assert remaining() is None
        yield "two"

    return Stream(chunks())


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        [slow, left, patient, stream],
        middleware=[RequestDeadline(0.3)],
        exception_handlers=exception_handlers(),
        openapi_config=None,
    )
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # httpx types scopes as plain dicts
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        yield client


async def test_a_slow_request_is_answered_as_a_problem(http: httpx.AsyncClient) -> None:
    """The client gets a 504 document with a sentence."""
    answer = await http.get("/slow")
    assert answer.status_code == 504
    assert answer.headers["content-type"] == "application/problem+json"
    assert "longer than it may" in answer.json()["detail"]


async def test_a_caller_can_only_shorten(http: httpx.AsyncClient) -> None:
    """A smaller budget counts, a larger or a senseless one does not."""
    assert (await http.get("/left", headers={HEADER: "20"})).json() <= 0.021
    assert 0 < (await http.get("/left", headers={HEADER: "60000"})).json() <= 0.301
    assert 0 < (await http.get("/left", headers={HEADER: "never"})).json() <= 0.301


async def test_a_route_may_take_longer(http: httpx.AsyncClient) -> None:
    """``deadline_seconds`` in a route's opt replaces the service's."""
    assert (await http.get("/patient")).json() > 1


async def test_a_stream_outlives_the_deadline(http: httpx.AsyncClient) -> None:
    """Once the answer has begun nothing cuts it off."""
    assert (await http.get("/stream")).text == "one two"
