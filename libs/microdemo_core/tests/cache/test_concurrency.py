"""Many callers at once, some of whom give up."""

import asyncio
import functools

import pytest

from microdemo_core.cache.flights import SingleFlight

from .conftest import Item, Items, Source, until

pytestmark = pytest.mark.anyio


async def test_two_hundred_callers_load_once(items: Items, source: Source) -> None:
    """A cold key under a stampede costs the source one load."""
    answers = await asyncio.gather(*(items.get(1) for _ in range(200)))
    assert answers == [Item(1, "one")] * 200
    assert source.loads["get"] == 1


async def test_callers_do_not_share_objects(items: Items) -> None:
    """What one caller does to its list is not seen by another."""
    first, second, third = await asyncio.gather(items.page(), items.page(), items.page())
    first.clear()
    assert len(second) == len(third) == 2
    assert second is not third


async def test_a_cancelled_worker_is_replaced(items: Items, source: Source) -> None:
    """The caller at work hangs up, and the others still get their answer, with one more load."""
    source.answers.clear()
    worker = asyncio.create_task(items.get(1))
    await until(lambda: source.loads["get"] == 1)
    others = [asyncio.create_task(items.get(1)) for _ in range(20)]
    await asyncio.sleep(0.01)
    worker.cancel()
    await until(lambda: source.loads["get"] == 2)
    source.answers.set()
    assert await asyncio.gather(*others) == [Item(1, "one")] * 20
    assert source.loads["get"] == 2
    with pytest.raises(asyncio.CancelledError):
        await worker


async def test_a_cancelled_follower_disturbs_nobody(items: Items, source: Source) -> None:
    """One of those who wait hangs up, and the rest get their answer."""
    source.answers.clear()
    tasks = [asyncio.create_task(items.get(1)) for _ in range(10)]
    await until(lambda: source.loads["get"] == 1)
    await asyncio.sleep(0.01)
    for task in tasks[1:4]:
        task.cancel()
    source.answers.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(answer, asyncio.CancelledError) for answer in answers) == 3
    assert answers.count(Item(1, "one")) == 7


async def test_one_workers_failure_is_its_own(items: Items, source: Source) -> None:
    """The caller at work fails, and the others ask the source again and succeed."""
    source.answers.clear()
    worker = asyncio.create_task(items.get(1))
    await until(lambda: source.loads["get"] == 1)
    others = [asyncio.create_task(items.get(1)) for _ in range(20)]
    await asyncio.sleep(0.01)
    source.error = RuntimeError("mine alone")
    source.answers.set()
    with pytest.raises(RuntimeError, match="mine alone"):
        await worker
    source.error = None
    assert await asyncio.gather(*others) == [Item(1, "one")] * 20


async def test_one_failure_is_not_shared() -> None:
    """A worker that fails on behalf of others fails alone: the next of them works for the rest."""
    flight = SingleFlight[str]()
    gate = asyncio.Event()

    async def work(name: str) -> str:
        await gate.wait()
        if name == "second":
            raise RuntimeError(name)
        return name

    names = ["first", "second", "third", "fourth"]
    tasks = [asyncio.create_task(flight.run("key", functools.partial(work, name))) for name in names]
    await asyncio.sleep(0)
    gate.set()
    first, second, third, fourth = await asyncio.gather(*tasks, return_exceptions=True)
    assert first == ("first", False)
    assert isinstance(second, RuntimeError)
    assert third == ("third", False)
    assert fourth == ("third", True)


async def test_a_failing_source_is_not_stampeded(items: Items, source: Source) -> None:
    """With the source down, 200 callers fail on a handful of loads."""
    source.error = RuntimeError("down")
    answers = await asyncio.gather(*(items.get(1) for _ in range(200)), return_exceptions=True)
    assert all(isinstance(answer, RuntimeError) for answer in answers)
    assert source.loads["get"] <= 4
    source.error = None
    assert await items.get(1) == Item(1, "one")


async def test_nobody_shares_work_that_began_before_they_asked() -> None:
    """A caller that comes while work is under way gets a value made after it came."""
    flight = SingleFlight[int]()
    truth = 1
    gate = asyncio.Event()

    async def work() -> int:
        seen = truth
        await gate.wait()
        return seen

    early = asyncio.create_task(flight.run("key", work))
    await asyncio.sleep(0)
    truth = 2
    late = [asyncio.create_task(flight.run("key", work)) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    assert await early == (1, False)
    assert sorted(await asyncio.gather(*late)) == [(2, False), (2, True), (2, True)]


async def test_whoever_is_chosen_and_cancelled_passes_the_turn_on() -> None:
    """A waiting caller that is cancelled in the very moment its turn comes does not strand the rest."""
    flight = SingleFlight[int]()
    gate = asyncio.Event()

    async def work() -> int:
        await gate.wait()
        # Runs after this worker has named its successor, and before the successor wakes up.
        asyncio.get_running_loop().call_soon(chosen.cancel)
        return 1

    first = asyncio.create_task(flight.run("key", work))
    await asyncio.sleep(0)
    chosen, last = (asyncio.create_task(flight.run("key", work)) for _ in range(2))
    await asyncio.sleep(0)
    gate.set()
    async with asyncio.timeout(5):
        assert await first == (1, False)
        assert (await last)[0] == 1
    with pytest.raises(asyncio.CancelledError):
        await chosen
    assert flight._waiting == {}


async def test_no_key_is_kept_when_all_is_done(items: Items) -> None:
    """The map of flights is empty again."""
    await asyncio.gather(*(items.get(item_id % 7) for item_id in range(100)))
    assert items.cache._flights._waiting == {}
