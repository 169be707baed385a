"""One service under test: what the fixtures need to know of it, and its app on real parts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import Litestar

from microdemo_core.settings import Settings

__all__ = ("TEST_SECRET", "ServiceUnderTest")

TEST_SECRET: Final = "a-test-run-signs-with-this-and-nothing-else-does"


class ServiceUnderTest(msgspec.Struct, frozen=True):
    """A service's tests return one from their ``service`` fixture; the kernel's other fixtures follow from it.

    ``environment`` holds variables beyond the common ones, such as the peers' URLs.
    """

    name: str
    create_app: Callable[[Any], Litestar]
    settings: type[Settings]
    migrations: Path
    environment: Mapping[str, str] = {}

    def load(self, database_url: str, redis_url: str) -> Settings:
        return self.settings.load(
            {
                "ENVIRONMENT": "local",
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "JWT_SECRET_KEY": TEST_SECRET,
                "LOG_LEVEL": "WARNING",
                **self.environment,
            }
        )
