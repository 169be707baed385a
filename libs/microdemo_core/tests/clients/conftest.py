"""A peer on a real socket that behaves as told, request by request."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from microdemo_core.clients import Peer


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answers(status: int = 200, body: bytes = b"{}", **headers: str) -> Behaviour:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *lines, "", ""])

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + body)

    return behave


def sends(raw: bytes) -> Behaviour:
    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        writer.close()

    return behave


async def drops(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def hangs(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def dribbles(writer: asyncio.StreamWriter) -> None:
    """A byte at a time: no single read takes long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b".")
        await asyncio.sleep(0.01)


@dataclass
class Backend:
    """``script`` holds what to do with the next requests; after that ``default`` holds."""

    url: str = ""
    default: Behaviour = field(default_factory=answers)
    script: deque[Behaviour] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    server: asyncio.Server | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, port: int = 0) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Refuses new connections and ends those that are there."""
        if self.server is not None:
            self.server.close()
            self.server = None
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.received.append(Received(method, path, headers, body))
                await (self.script.popleft() if self.script else self.default)(writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    backend = Backend()
    await backend.start()
    yield backend
    await backend.stop()


@pytest.fixture
async def peer(backend: Backend) -> AsyncIterator[Peer]:
    async with Peer("inventory", backend.url, timeout_seconds=1.0, breaker_open_seconds=0.1) as peer:
        yield peer


@pytest.fixture
async def patient_peer(backend: Backend) -> AsyncIterator[Peer]:
    """Has so much time that only its caller's deadline can cut it short."""
    async with Peer("users", backend.url, timeout_seconds=30, breaker_open_seconds=30) as peer:
        yield peer
