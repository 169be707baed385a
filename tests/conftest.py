"""The whole system, as ``make up`` starts it, in a home and on a port of its own."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from tests.system import Stack, sign_in

from microdemo_core.testing.servers import free_port

KEPT = ("PATH", "HOME", "POSTGRES_BIN", "REDIS_SERVER", "NGINX")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    # Not below pytest's own folder: PostgreSQL, which refuses root, could not reach its data there.
    with tempfile.TemporaryDirectory(prefix="microdemo-stack-") as home:
        Path(home).chmod(0o755)
        port = str(free_port())
        kept = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "POSTGRES_BIN", "REDIS_SERVER", "NGINX")
            if name in os.environ
        }
        environment = {**kept, "MICRODEMO_HOME": f"{home}/state", "PORT": port, "REPLICAS": "2", "LOG_LEVEL": "WARNING"}
        running = Stack(f"http://127.0.0.1:{port}", environment)
        try:
            running.run("up")
            yield running
        finally:
            running.run("reset")


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=300, max_keepalive_connections=300)
    async with httpx.AsyncClient(base_url=stack.url, limits=limits, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
async def admin(http: httpx.AsyncClient) -> dict[str, str]:
    return await sign_in(http, "admin@test.com")


@pytest.fixture
async def bob(http: httpx.AsyncClient) -> dict[str, str]:
    return await sign_in(http, "bob@example.com")
