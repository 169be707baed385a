"""What never reaches the application."""

import asyncio
import json

import pytest
import uvicorn
from uvicorn.server import ServerState

from microdemo_core.protocol import ProblemProtocol
from microdemo_core.settings import Settings
from microdemo_core.testing.service import ServiceUnderTest

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "request_head",
    [b"BREW /healthz HTTP/1.1", "GET /healthz?q=Müller HTTP/1.1".encode(), b"GET /healthz HTTP/1.1\r\nX-A: \x01"],
    ids=["an unknown method", "an umlaut as it is", "a control character"],
)
async def test_what_uvicorn_cannot_read_is_a_problem(
    settings: Settings, service: ServiceUnderTest, request_head: bytes
) -> None:
    """400 as JSON, like every other error, and the connection ends."""
    config = uvicorn.Config(service.create_app(settings), http=ProblemProtocol, log_config=None)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: ProblemProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(request_head + b"\r\nHost: x\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert head.splitlines()[0] == b"HTTP/1.1 400 Bad Request"
    assert b"content-type: application/problem+json" in head.splitlines()
    problem = json.loads(body)
    assert (problem["status"], problem["detail"]) == (400, "The request could not be read.")
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
