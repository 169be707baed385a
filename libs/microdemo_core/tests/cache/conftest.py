"""A repository with cached reads over a source that can be watched, slowed and broken."""

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from redis.asyncio import Redis

from microdemo_core.cache import Cache, cached
from microdemo_core.testing import servers


class Item(msgspec.Struct, frozen=True):
    id: int
    name: str


class Source:
    """The database: what it holds, how often it was asked, and whether it answers."""

    def __init__(self) -> None:
        self.items = {1: Item(1, "one"), 2: Item(2, "two")}
        self.loads: Counter[str] = Counter()
        self.answers = asyncio.Event()
        self.answers.set()
        self.error: Exception | None = None

    async def load(self, name: str) -> None:
        self.loads[name] += 1
        await self.answers.wait()
        if self.error is not None:
            raise self.error


class Items:
    def __init__(self, cache: Cache, source: Source) -> None:
        self.cache = cache
        self.source = source

    @cached("test:item:{item_id}", ttl_seconds=30, negative_ttl_seconds=5)
    async def get(self, item_id: int) -> Item | None:
        found = self.source.items.get(item_id)
        await self.source.load("get")
        return found

    @cached("test:fresh:{item_id}", ttl_seconds=30, negative_ttl_seconds=0)
    async def get_if_there(self, item_id: int) -> Item | None:
        await self.source.load("get_if_there")
        return self.source.items.get(item_id)

    @cached("test:page:{skip}:{limit}", ttl_seconds=30, namespace="test:items")
    async def page(self, skip: int = 0, limit: int = 10) -> list[Item]:
        """The first ``limit`` after ``skip``, as they were when this was asked."""
        found = list(self.source.items.values())[skip : skip + limit]
        await self.source.load("page")
        return found

    @cached("test:named:{name}", ttl_seconds=30, jitter=0.2)
    async def named(self, name: str | None) -> list[Item]:
        await self.source.load(f"named {name!r}")
        return [item for item in self.source.items.values() if item.name == name]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A second look at what is stored."""
    async with Redis.from_url(redis_url) as client:
        await client.flushdb()
        yield client
        await client.flushdb()


@pytest.fixture
async def cache(redis_url: str, redis: Redis) -> AsyncIterator[Cache]:
    # The real 50 ms are for the tests of outages: here a busy machine must not look like one.
    cache = Cache(redis_url, service="test", timeout_seconds=5)
    yield cache
    await cache.aclose()


@pytest.fixture
async def elsewhere(redis_url: str, source: Source) -> AsyncIterator[Items]:
    """The same repository in another process."""
    cache = Cache(redis_url, service="elsewhere", timeout_seconds=5)
    yield Items(cache, source)
    await cache.aclose()


@pytest.fixture
def items(cache: Cache, source: Source) -> Items:
    return Items(cache, source)


class MortalValkey:
    """A Valkey on one port that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = servers.free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://:secret@127.0.0.1:{self._port}"

    def start(self) -> None:
        config = self._folder / "valkey.conf"
        config.write_text(servers.valkey_config(self._port, "secret", self._folder))
        self._process = subprocess.Popen(servers.valkey_command(config), stdout=subprocess.DEVNULL)  # noqa: S603 - made here
        for _ in range(200):
            if servers.valkey_is_ready(self.url):
                return
            self._process.poll()
        raise servers.ServerError("Valkey does not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[MortalValkey]:
    server = MortalValkey(tmp_path)
    server.start()
    yield server
    server.kill()


class Wire:
    """A TCP proxy to Redis that can be cut, and that can swallow what is sent."""

    def __init__(self, redis_url: str) -> None:
        self._to = urlsplit(redis_url)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = servers.free_port()
        self.swallows = False
        self.swallowed = 0
        self.url = self._to._replace(netloc=f":{self._to.password}@127.0.0.1:{self._port}").geturl()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def cut(self) -> None:
        """Ends the connections and refuses new ones; what Redis holds stays there."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._writers |= {writer, back}
        await asyncio.gather(self._pump(reader, back, sends=True), self._pump(there, writer, sends=False))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, sends: bool) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if sends and self.swallows:
                    self.swallowed += 1
                else:
                    writer.write(data)
        writer.close()


@pytest.fixture
async def wire(redis_url: str, redis: Redis) -> AsyncIterator[Wire]:
    wire = Wire(redis_url)
    await wire.mend()
    yield wire
    await wire.cut()
