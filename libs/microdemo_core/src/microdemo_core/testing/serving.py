"""An app on a socket of this machine, for services that are tested against their real peers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from litestar import Litestar

__all__ = ("listen", "serve")


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are pytest's."""
        yield


def listen() -> socket.socket:
    """A loopback port that is taken before the app is there, so that others can be told its address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    return listening


@asynccontextmanager
async def serve(app: Litestar, listening: socket.socket) -> AsyncIterator[None]:
    """Answers on that socket for the block's duration, in the running event loop."""
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_keep_alive=75))
    task = asyncio.create_task(server.serve([listening]))
    while not server.started:
        if task.done():
            await task
            raise RuntimeError("the app did not start")
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task
