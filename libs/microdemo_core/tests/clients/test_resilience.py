"""Retries, the breaker and deadlines, against a peer that misbehaves."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from microdemo_core.clients import Peer, PeerFailed, PeerUnavailable
from microdemo_core.clients.retries import RetryBudget
from microdemo_core.deadline import deadline

from .conftest import Backend, answers, drops, hangs

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("trouble", [drops, answers(502, b""), answers(503, b""), answers(504, b"")])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_idempotent_calls_get_a_second_try(backend: Backend, peer: Peer, method: str, trouble: object) -> None:
    """One failure that may pass is not seen by the caller."""
    backend.script.append(trouble)  # type: ignore[arg-type]  # all are behaviours
    backend.default = answers(body=b"")
    assert (await peer.request(method, "/")).is_success
    assert len(backend.received) == 2


@pytest.mark.parametrize("trouble", [drops, answers(503)])
async def test_a_post_is_never_retried(backend: Backend, peer: Peer, trouble: object) -> None:
    """It may have been executed, so it is the caller's to decide."""
    backend.default = trouble  # type: ignore[assignment]  # both are behaviours
    with pytest.raises(PeerUnavailable) as caught:
        await peer.post("/", json={})
    assert caught.value.maybe_executed
    assert len(backend.received) == 1


async def test_a_post_said_to_be_idempotent_is_retried(backend: Backend, peer: Peer) -> None:
    """With an idempotency key of its own a POST may go out twice."""
    backend.script.append(answers(503))
    assert (await peer.post("/", json={}, idempotent=True)).is_success
    assert len(backend.received) == 2


async def test_a_retry_is_the_only_one(backend: Backend, peer: Peer) -> None:
    """Two failures are the answer."""
    backend.default = answers(502)
    with pytest.raises(PeerFailed):
        await peer.get("/")
    assert len(backend.received) == 2


async def test_an_error_that_will_not_pass_is_not_retried(backend: Backend, peer: Peer) -> None:
    """A 500 is a bug, and asking again does not mend it."""
    backend.default = answers(500)
    with pytest.raises(PeerFailed) as caught:
        await peer.get("/")
    assert (caught.value.reason, caught.value.status_code) == ("failed", 502)
    assert len(backend.received) == 1


async def test_retry_after_beyond_the_deadline_is_passed_on(backend: Backend, peer: Peer) -> None:
    """A peer that wants more time than there is gets no second call, and the caller learns how long."""
    backend.default = answers(503, Retry_After="30")
    with pytest.raises(PeerUnavailable) as caught:
        await peer.get("/")
    assert caught.value.headers == {"Retry-After": "30"}
    assert len(backend.received) == 1


async def test_a_second_refusal_does_not_undo_the_first_try(backend: Backend, peer: Peer) -> None:
    """Dropped, then refused: the peer may have done it."""

    async def drop_and_die(writer: asyncio.StreamWriter) -> None:
        assert backend.server is not None
        backend.server.close()
        writer.close()

    backend.default = drop_and_die
    with pytest.raises(PeerUnavailable) as caught:
        await peer.put("/")
    assert (caught.value.reason, caught.value.maybe_executed) == ("refused", True)


async def test_the_retry_budget_is_a_tenth(backend: Backend, peer: Peer) -> None:
    """While every first try fails, 40 calls make 13 retries: ten saved ones and a tenth of the calls."""
    outcomes = []
    for _ in range(40):
        backend.script.clear()
        backend.script.append(answers(503))
        try:
            await peer.get("/")
        except PeerUnavailable:
            outcomes.append("failed")
            await peer.get("/404")  # keeps the breaker closed
        else:
            outcomes.append("retried")
    calls = 40 + outcomes.count("failed")
    assert outcomes[:10] == ["retried"] * 10
    assert 10 <= outcomes.count("retried") <= 10 + calls * 0.1


def test_a_thousand_failures_get_a_hundred_and_ten_retries() -> None:
    """The bucket holds ten tokens, and each call adds a tenth of one."""
    budget = RetryBudget()
    retries = 0
    for _ in range(1000):
        budget.deposit()
        retries += budget.withdraw()
    assert 105 <= retries <= 110


async def test_the_breaker_spares_a_peer_that_is_down(backend: Backend, peer: Peer) -> None:
    """After five failures in a row nothing is sent, and the caller knows that nothing was done."""
    backend.default = answers(500)
    for _ in range(5):
        with pytest.raises(PeerFailed):
            await peer.get("/")
    with pytest.raises(PeerUnavailable) as caught:
        await peer.get("/")
    assert (caught.value.reason, caught.value.maybe_executed) == ("breaker_open", False)
    assert len(backend.received) == 5
    assert REGISTRY.get_sample_value("microdemo_breaker_open", {"breaker": "peer:inventory"}) == 1


async def test_a_peer_that_comes_back_is_used_again(backend: Backend, peer: Peer) -> None:
    """From refused connections to good answers, without a restart of the caller."""
    port = int(backend.url.rpartition(":")[2])
    await backend.stop()
    for _ in range(5):
        with pytest.raises(PeerUnavailable):
            await peer.post("/")
    with pytest.raises(PeerUnavailable, match="503"):
        await peer.get("/")
    await backend.start(port)
    async with asyncio.timeout(10):
        while True:
            await asyncio.sleep(0.02)
            try:
                reply = await peer.get("/")
            except PeerUnavailable:
                continue
            break
    assert reply.is_success
    assert REGISTRY.get_sample_value("microdemo_breaker_open", {"breaker": "peer:inventory"}) == 0


async def test_a_4xx_does_not_open_the_breaker(backend: Backend, peer: Peer) -> None:
    """The peer works; it is the request that was wrong."""
    backend.default = answers(404)
    for _ in range(20):
        await peer.get("/")
    assert len(backend.received) == 20


async def test_cancelled_calls_do_not_open_the_breaker(backend: Backend, peer: Peer) -> None:
    """Clients that hang up say nothing about the peer."""
    backend.default = hangs
    for _ in range(6):
        task = asyncio.create_task(peer.get("/"))
        while not backend.received:  # noqa: ASYNC110 - until the request is there
            await asyncio.sleep(0.001)
        backend.received.clear()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    backend.default = answers()
    assert (await peer.get("/")).is_success


async def test_a_short_budget_is_not_held_against_the_peer(backend: Backend, patient_peer: Peer) -> None:
    """Calls that their own caller cut to a fraction of the peer's time do not open the breaker."""
    backend.default = hangs
    for _ in range(6):
        async with deadline(0.15):
            with pytest.raises(PeerUnavailable) as caught:
                await patient_peer.get("/")
        assert caught.value.reason == "timeout"
    backend.default = answers()
    assert (await patient_peer.get("/")).is_success


async def test_a_fair_timeout_is_held_against_the_peer(backend: Backend, peer: Peer) -> None:
    """A peer that lets five calls run out of its own time is left alone."""
    backend.default = hangs
    for _ in range(5):
        with pytest.raises(PeerUnavailable):
            await peer.get("/")
    with pytest.raises(PeerUnavailable) as caught:
        await peer.get("/")
    assert caught.value.reason == "breaker_open"


async def test_the_deadline_travels_and_leaves_time_to_answer(backend: Backend, patient_peer: Peer) -> None:
    """The peer hears of the remaining time, and the caller gets its error before its own deadline strikes."""
    backend.default = hangs
    async with deadline(0.3):
        with pytest.raises(PeerUnavailable):
            await patient_peer.get("/")
    assert 100 < int(backend.received[0].headers["x-request-budget-ms"]) <= 250


async def test_no_call_is_made_without_time(backend: Backend, peer: Peer) -> None:
    """Past the deadline nothing is sent."""

    async def call_too_late() -> None:
        async with deadline(0.01):
            try:
                await asyncio.Event().wait()
            finally:
                await peer.get("/")

    with pytest.raises(PeerUnavailable) as caught:
        await call_too_late()
    assert (caught.value.reason, caught.value.maybe_executed) == ("no_time", False)
    assert backend.received == []


async def test_calls_are_counted_by_outcome(backend: Backend, peer: Peer) -> None:
    """One count per call, under its peer and outcome."""

    def count(outcome: str) -> float:
        labels = {"peer": "inventory", "outcome": outcome}
        return REGISTRY.get_sample_value("microdemo_peer_requests_total", labels) or 0

    before = {outcome: count(outcome) for outcome in ("ok", "rejected", "failed", "timeout")}
    backend.script.extend([answers(), answers(404), answers(500), hangs])
    await peer.get("/")
    await peer.get("/")
    for _ in range(2):
        with pytest.raises((PeerFailed, PeerUnavailable)):
            await peer.get("/")
    assert {outcome: count(outcome) - before[outcome] for outcome in before} == dict.fromkeys(before, 1)
