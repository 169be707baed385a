"""Redis killed, silent, and back."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from microdemo_core.cache import Cache

from .conftest import Item, Items, MortalValkey, Source, Wire, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fragile(valkey: MortalValkey) -> AsyncIterator[Cache]:
    cache = Cache(valkey.url, service="fragile", timeout_seconds=0.2, open_seconds=0.1)
    yield cache
    await cache.aclose()


@pytest.fixture
def every_level() -> Iterator[None]:
    """An app that another test booted may have set the process's level above INFO."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


async def until_back(cache: Cache) -> None:
    async with asyncio.timeout(10):
        while not await cache.ping():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("every_level")
async def test_reads_survive_a_kill_and_hit_again_after_the_restart(
    valkey: MortalValkey, fragile: Cache, source: Source
) -> None:
    """Every read answers; while Redis is away from the source, afterwards from Redis; one log line each way."""
    items = Items(fragile, source)
    with capture_logs() as logs:
        await items.get(1)
        valkey.kill()
        for _ in range(50):
            assert await items.get(1) == Item(1, "one")
        assert source.loads["get"] == 51
        assert not await fragile.ping()
        valkey.start()
        await until_back(fragile)
        await items.get(1)
        await items.get(1)
    assert source.loads["get"] == 52
    assert [line["event"] for line in logs] == ["breaker opened", "breaker closed"]


async def test_a_stampede_without_redis_is_still_one_flight(
    valkey: MortalValkey, fragile: Cache, source: Source
) -> None:
    """Two hundred callers cost the source two loads: the first one's, and one that all others share."""
    valkey.kill()
    answers = await asyncio.gather(*(Items(fragile, source).get(1) for _ in range(200)))
    assert answers == [Item(1, "one")] * 200
    assert source.loads["get"] == 2


@pytest.fixture
async def wired(wire: Wire) -> AsyncIterator[Cache]:
    cache = Cache(wire.url, service="wired", timeout_seconds=0.2, open_seconds=0.1)
    yield cache
    await cache.aclose()


async def test_an_invalidation_that_got_lost_is_made_up_for(wire: Wire, wired: Cache, source: Source) -> None:
    """Redis was only out of reach, and still has the old entries: they are deleted before they can be read."""
    items = Items(wired, source)
    await items.get(1)
    await items.page()
    await wire.cut()
    source.items[1] = Item(1, "uno")
    await wired.invalidate([Items.get.key(1)], ["test:items"])
    assert await items.get(1) == Item(1, "uno")
    await wire.mend()
    await until_back(wired)
    assert await items.get(1) == Item(1, "uno")
    assert (await items.page())[0] == Item(1, "uno")
    assert wired._owed == {}


async def test_a_cancelled_invalidation_is_made_up_for(wire: Wire, wired: Cache, source: Source) -> None:
    """The commit is done when the caller hangs up, so the delete must not be forgotten with it."""
    items = Items(wired, source)
    await items.get(1)
    source.items[1] = Item(1, "uno")
    wire.swallows = True
    invalidation = asyncio.create_task(wired.delete(Items.get.key(1)))
    await until(lambda: wire.swallowed)
    invalidation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await invalidation
    wire.swallows = False
    assert await items.get(1) == Item(1, "uno")


async def test_a_cancellation_is_never_lost(cache: Cache) -> None:
    """At whatever step of an exchange with Redis the caller is cancelled, it hears of it."""
    for steps in range(12):
        ping = asyncio.create_task(cache.ping())
        for _ in range(steps):
            await asyncio.sleep(0)
        if ping.cancel():
            with pytest.raises(asyncio.CancelledError):
                await ping
    assert await cache.ping()


class BlackHole:
    """Accepts connections, reads, and never answers."""

    def __init__(self) -> None:
        self.commands = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            self.commands += 1
        writer.close()


async def test_a_black_hole_is_asked_five_times(source: Source) -> None:
    """After five unanswered commands a hundred reads cost nothing but the source."""
    hole = BlackHole()
    server = await asyncio.start_server(hole.serve, "127.0.0.1", 0)
    cache = Cache(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", service="hole", open_seconds=60)
    items = Items(cache, source)
    async with asyncio.timeout(10):
        for _ in range(100):
            assert await items.get(1) == Item(1, "one")
    assert hole.commands == 5
    assert source.loads["get"] == 100
    labels = {"read": "test:item:{item_id}"}
    assert REGISTRY.get_sample_value("microdemo_cache_requests_total", {**labels, "outcome": "bypass"})
    await cache.aclose()
    server.close()


async def test_a_redis_that_refuses_the_command_is_away(items: Items, source: Source, redis_url: str) -> None:
    """An error answer, here for a key of another kind, is no reason to fail either."""
    await items.cache._redis.lpush("test:item:1", "not an entry")
    await items.cache._redis.lpush("test:items", "not a version")
    assert await items.get(1) == Item(1, "one")
    assert await items.page() == [Item(1, "one"), Item(2, "two")]
