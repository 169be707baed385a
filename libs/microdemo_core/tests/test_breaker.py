"""The breaker's judgement, apart from any network."""

import asyncio
import traceback
from contextlib import suppress

import pytest

from microdemo_core.breaker import Breaker, BreakerOpen

pytestmark = pytest.mark.anyio

OPEN_SECONDS = 0.05


@pytest.fixture
def breaker() -> Breaker:
    return Breaker("test", open_seconds=OPEN_SECONDS, failures=5)


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with breaker.attempt() as attempt:
            attempt.failed()


def cancel(breaker: Breaker) -> None:
    with suppress(asyncio.CancelledError), breaker.attempt():
        raise asyncio.CancelledError


def test_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    """Four failures, a success and four more keep it closed; a fifth in a row opens it."""
    fail(breaker, 4)
    with breaker.attempt() as attempt:
        attempt.succeeded()
    fail(breaker, 4)
    assert breaker.is_closed
    fail(breaker)
    with pytest.raises(BreakerOpen) as caught:
        breaker.attempt()
    assert 0 < caught.value.retry_after_seconds <= OPEN_SECONDS


async def test_one_probe_at_a_time_decides(breaker: Breaker) -> None:
    """When the time is up one attempt goes through, the others are refused until it is judged."""
    fail(breaker, 5)
    await asyncio.sleep(OPEN_SECONDS * 1.2)
    with breaker.attempt() as probe:
        with pytest.raises(BreakerOpen):
            breaker.attempt()
        probe.succeeded()
    assert breaker.is_closed


async def test_a_failed_probe_opens_it_again(breaker: Breaker) -> None:
    """One failure is enough when half-open, and the whole time has to pass again."""
    fail(breaker, 5)
    await asyncio.sleep(OPEN_SECONDS * 1.2)
    fail(breaker)
    with pytest.raises(BreakerOpen):
        breaker.attempt()


async def test_an_attempt_without_a_verdict_changes_nothing(breaker: Breaker) -> None:
    """A cancelled call neither adds a failure, nor forgives earlier ones, nor closes a half-open breaker."""
    fail(breaker, 4)
    cancel(breaker)
    fail(breaker)
    assert not breaker.is_closed
    await asyncio.sleep(OPEN_SECONDS * 1.2)
    cancel(breaker)
    assert not breaker.is_closed
    with breaker.attempt() as probe:
        probe.succeeded()
    assert breaker.is_closed


async def test_old_news_is_ignored(breaker: Breaker) -> None:
    """A call sent before it opened cannot close it, nor decide in the probe's place."""
    with breaker.attempt() as old:
        fail(breaker, 5)
        await asyncio.sleep(OPEN_SECONDS * 1.2)
        with breaker.attempt() as probe:
            old.succeeded()
            assert not breaker.is_closed
            probe.succeeded()
        assert breaker.is_closed


def test_refusals_leave_nothing_behind(breaker: Breaker) -> None:
    """The thousandth refusal carries no more frames than the first."""
    fail(breaker, 5)
    depths = []
    for _ in range(1000):
        with pytest.raises(BreakerOpen) as caught:
            breaker.attempt()
        context = caught.value.__context__
        depths.append(len(traceback.extract_tb(context.__traceback__)) if context else 0)
    assert max(depths) == depths[0]
