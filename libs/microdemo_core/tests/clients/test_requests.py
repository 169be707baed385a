"""What goes out, and how answers and failures come back."""

import asyncio

import msgspec
import pytest

from microdemo_core.clients import Peer, PeerFailed, PeerUnavailable
from microdemo_core.correlation import correlation_id
from microdemo_core.problems import Conflict, Invalid, NotFound, TooManyRequests

from .conftest import Backend, answers, dribbles, drops, hangs, sends

pytestmark = pytest.mark.anyio


class Line(msgspec.Struct):
    sku: str
    quantity: int


async def test_a_request_carries_what_the_peer_needs(backend: Backend, peer: Peer) -> None:
    """Body, query, token and correlation ID arrive, and the budget is the call's own time."""
    reset = correlation_id.set("abc-1")
    await peer.put("/reservations/o-1/1", json=[Line("SKU-1", 2)], params={"dry": 1}, token="t0ken")
    correlation_id.reset(reset)
    [received] = backend.received
    assert (received.method, received.path) == ("PUT", "/reservations/o-1/1?dry=1")
    assert received.body == b'[{"sku":"SKU-1","quantity":2}]'
    assert received.headers["content-type"] == "application/json"
    assert received.headers["authorization"] == "Bearer t0ken"
    assert received.headers["x-request-id"] == "abc-1"
    assert 200 < int(received.headers["x-request-budget-ms"]) <= 1000
    assert "cookie" not in received.headers


async def test_cookies_are_not_kept(backend: Backend, peer: Peer) -> None:
    """One user's cookie does not go out with the next user's request."""
    backend.script.append(answers(Set_Cookie="session=1"))
    await peer.get("/")
    await peer.get("/")
    assert "cookie" not in backend.received[1].headers


async def test_the_environments_proxy_is_ignored(backend: Backend, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY does not divert calls between services."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (await peer.get("/")).status_code == 200


async def test_an_answer_is_decoded_by_type(backend: Backend, peer: Peer) -> None:
    """``fetch`` gives structs."""
    backend.default = answers(body=b'[{"sku":"A","quantity":1}]')
    assert await peer.fetch(list[Line], "/") == [Line("A", 1)]


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"sku":"A"}', b'{"sku":"A","quantity":"many"}'])
async def test_nonsense_is_a_502(backend: Backend, peer: Peer, body: bytes) -> None:
    """A 200 whose body is not what was agreed is the peer's failure."""
    backend.default = answers(body=body)
    with pytest.raises(PeerFailed) as caught:
        await peer.fetch(Line, "/")
    assert caught.value.status_code == 502
    assert "inventory" in caught.value.detail


async def test_something_other_than_http_is_a_502(backend: Backend, peer: Peer) -> None:
    """So is an answer that is not even HTTP."""
    backend.default = sends(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    with pytest.raises(PeerFailed) as caught:
        await peer.get("/")
    assert caught.value.maybe_executed


async def test_a_4xx_is_the_callers_to_read(backend: Backend, peer: Peer) -> None:
    """It comes back as a reply."""
    backend.default = answers(409, b'{"detail":"Too little.","shortages":[{"sku":"A"}]}')
    reply = await peer.get("/")
    assert (reply.status_code, reply.is_success) == (409, False)
    assert reply.json()["shortages"] == [{"sku": "A"}]


async def test_a_problem_can_be_passed_on(backend: Backend, peer: Peer) -> None:
    """``raise_for_status`` keeps the peer's sentence, members and field errors."""
    backend.script.extend(
        [
            answers(404, b'{"detail":"No such item."}'),
            answers(409, b'{"status":409,"detail":"Too little.","shortages":[1]}'),
            answers(422, b'{"detail":"quantity: at least 1","errors":[{"field":"quantity","message":"at least 1"}]}'),
            answers(429, b'{"detail":"Slowly."}', Retry_After="7"),
        ]
    )
    with pytest.raises(NotFound, match="No such item"):
        (await peer.get("/")).raise_for_status()
    with pytest.raises(Conflict) as conflict:
        (await peer.get("/")).raise_for_status()
    assert conflict.value.extra == {"shortages": [1]}
    with pytest.raises(Invalid) as invalid:
        (await peer.get("/")).raise_for_status()
    assert "quantity" in str(invalid.value.extra)
    with pytest.raises(TooManyRequests) as busy:
        (await peer.get("/")).raise_for_status()
    assert busy.value.headers == {"Retry-After": "7"}


@pytest.mark.parametrize("status", [302, 400, 401, 403])
async def test_a_call_that_was_wrong_is_a_502(backend: Backend, peer: Peer, status: int) -> None:
    """Our caller did not send that request, so neither its error nor a redirect is passed on."""
    backend.default = answers(status, b'{"detail":"No."}', Location="http://127.0.0.1:1/")
    reply = await peer.get("/")
    with pytest.raises(PeerFailed):
        reply.raise_for_status()
    assert len(backend.received) == 1


async def test_a_refused_connection_means_not_executed(backend: Backend, peer: Peer) -> None:
    """Nothing can have happened, and the answer is a 503 that names the peer."""
    await backend.stop()
    with pytest.raises(PeerUnavailable) as caught:
        await peer.put("/")
    assert (caught.value.reason, caught.value.maybe_executed) == ("refused", False)
    assert caught.value.status_code == 503
    assert caught.value.headers == {"Retry-After": "1"}
    assert "inventory" in caught.value.detail


async def test_a_dropped_connection_means_maybe_executed(backend: Backend, peer: Peer) -> None:
    """The request was sent; what the peer did with it is unknown."""
    backend.default = drops
    with pytest.raises(PeerUnavailable) as caught:
        await peer.post("/")
    assert (caught.value.reason, caught.value.maybe_executed) == ("dropped", True)


async def test_a_body_cut_short_means_maybe_executed(backend: Backend, peer: Peer) -> None:
    """Half an answer is no answer."""
    backend.default = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1,")
    with pytest.raises(PeerUnavailable) as caught:
        await peer.post("/")
    assert (caught.value.reason, caught.value.maybe_executed) == ("dropped", True)


@pytest.mark.parametrize("slow", [hangs, dribbles])
async def test_the_whole_call_has_one_timeout(backend: Backend, peer: Peer, slow: object) -> None:
    """Neither silence nor a byte now and then makes it longer."""
    backend.default = slow  # type: ignore[assignment]  # both are behaviours
    async with asyncio.timeout(10):
        with pytest.raises(PeerUnavailable) as caught:
            await peer.get("/")
    assert (caught.value.reason, caught.value.maybe_executed) == ("timeout", True)
    assert len(backend.received) == 1


async def test_a_closed_peer_can_be_used_again(backend: Backend, peer: Peer) -> None:
    """``aclose`` gives the connections back, and the next call opens new ones."""
    await peer.get("/")
    await peer.aclose()
    assert (await peer.get("/")).is_success
