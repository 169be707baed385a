"""Liveness, readiness, version and metrics: what an orchestrator and a gateway ask."""

import asyncio
from typing import Any, Literal

import asyncpg
import msgspec
import structlog
from litestar import Controller, Response, get
from litestar.datastructures import State
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from microdemo_core.auth.middleware import PUBLIC
from microdemo_core.cache import Cache
from microdemo_core.db import Database, Migrations
from microdemo_core.problems import Unavailable

__all__ = ("Health", "HealthController", "Readiness", "Version")

_log = structlog.get_logger("microdemo.health")

_CHECK_SECONDS = 2.0


class Healthy(msgspec.Struct, frozen=True):
    status: Literal["healthy"] = "healthy"


class Version(msgspec.Struct, frozen=True):
    name: str
    version: str
    commit: str


class Readiness(msgspec.Struct, frozen=True):
    """``degraded`` names what is away without stopping the service: the cache."""

    status: Literal["ready"]
    degraded: list[Literal["cache"]]


class Health:
    """Readiness of one process. Redis never makes a service unready: it would take down what still works."""

    def __init__(self, version: Version, database: Database, migrations: Migrations, cache: Cache) -> None:
        self.version = version
        self.draining = False
        self._database = database
        self._migrations = migrations
        self._cache = cache
        self._migrated = False

    async def check(self) -> Readiness:
        """Raises: Unavailable, with ``down`` naming database, migrations or draining."""
        if self.draining:
            raise Unavailable("This instance is shutting down.", down=["draining"])
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._database.ping()
                # A schema does not go back while a process runs, so one good answer is enough.
                self._migrated = self._migrated or not await self._migrations.are_behind(self._database.engine)
        except (OSError, TimeoutError, SQLAlchemyError, asyncpg.PostgresError) as error:
            # A pool whose connections are all at work is load: taking every replica out for that would end the service.
            if not (self._migrated and isinstance(error, PoolTimeoutError)):
                _log.warning("not ready", down="database", error=type(error).__name__)
                raise Unavailable("The database does not answer.", down=["database"]) from None
        if not self._migrated:
            raise Unavailable("The database's schema is older than this version.", down=["migrations"])
        return Readiness(status="ready", degraded=[] if await self._cache.ping() else ["cache"])


class HealthController(Controller):
    opt = PUBLIC
    tags = ("health",)

    @get("/healthz", sync_to_thread=False)
    def healthz(self) -> Healthy:
        """Liveness: the process answers. No I/O."""
        return Healthy()

    @get("/version", sync_to_thread=False)
    def version(self, state: State) -> Version:
        health: Health = state.health
        return health.version

    @get("/readyz", include_in_schema=False)
    async def readyz(self, state: State) -> Readiness:
        health: Health = state.health
        return await health.check()

    @get("/metrics", include_in_schema=False, sync_to_thread=False)
    def metrics(self) -> Response[Any]:
        return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
