"""The fixtures; a service's own ``service`` fixture is what they follow from."""

import os
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
from litestar import Litestar
from redis.asyncio import Redis

from microdemo_core.plugin import KernelPlugin
from microdemo_core.settings import Settings
from microdemo_core.testing.databases import clone_database, truncate
from microdemo_core.testing.run import start_servers
from microdemo_core.testing.service import ServiceUnderTest
from microdemo_core.testing.tokens import Tokens

REDIS_DATABASES_PER_WORKER: Final = 8


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Session-wide, so that one app and its pools serve all tests of a worker."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def server_urls(request: pytest.FixtureRequest) -> tuple[str, str]:
    """PostgreSQL's URL as superuser, and Valkey's without a database number."""
    if hasattr(request.config, "workerinput"):
        postgres, valkey = request.config.workerinput["microdemo_urls"]
        return str(postgres), str(valkey)
    return start_servers(request.config)


@pytest.fixture(scope="session")
def worker() -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "gw0")


@pytest.fixture(scope="session")
def postgres_url(server_urls: tuple[str, str]) -> str:
    return server_urls[0]


@pytest.fixture(scope="session")
def redis_url(server_urls: tuple[str, str], worker: str) -> str:
    """This worker's first database of :data:`REDIS_DATABASES_PER_WORKER`."""
    return f"{server_urls[1]}/{int(worker.removeprefix('gw')) * REDIS_DATABASES_PER_WORKER}"


@pytest.fixture(scope="session")
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def admin(tokens: Tokens) -> dict[str, str]:
    """Headers of an admin, for the contract suite; the service that keeps the accounts overrides it."""
    return tokens.admin()


@pytest.fixture(scope="module")
def database_url(service: ServiceUnderTest, postgres_url: str, worker: str) -> str:
    """The worker's own database of this service, migrated and empty."""
    return clone_database(postgres_url, service.name, service.migrations, worker=worker)


@pytest.fixture(scope="module")
def settings(service: ServiceUnderTest, database_url: str, redis_url: str) -> Settings:
    return service.load(database_url, redis_url)


@pytest.fixture(scope="module")
async def app(service: ServiceUnderTest, settings: Settings) -> AsyncIterator[Litestar]:
    """The service itself, booted once a module; ``clean`` keeps its tests apart.

    Not once a session: several services' tests may run in one, and a session's fixture is made but once.
    """
    application = service.create_app(settings)
    async with application.lifespan():
        yield application


@pytest.fixture(scope="module")
def kernel(app: Litestar) -> KernelPlugin:
    return app.plugins.get(KernelPlugin)


@pytest.fixture
async def clean(database_url: str, redis_url: str) -> AsyncIterator[None]:
    """Empty tables and an empty cache once the test is over."""
    yield
    await truncate(database_url)
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()


@pytest.fixture
async def client(app: Litestar, clean: None) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ARG001 - cleaned afterwards
    """Speaks ASGI to the app, in the test's own event loop."""
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # httpx types scopes as plain dicts
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test", timeout=60) as http:
        yield http
