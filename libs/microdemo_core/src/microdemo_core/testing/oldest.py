"""The oldest servers we promise to run on, where this machine has them.

``python -m microdemo_core.testing.oldest`` prints them as variables for a test run: ``POSTGRES_BIN=… REDIS_SERVER=…``.
The cluster runs these versions; the wheels that tests start by default are newer.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ("oldest_servers",)

_POSTGRES: Final = (
    Path("/usr/lib/postgresql/15/bin"),
    Path("/usr/pgsql-15/bin"),
    Path("/opt/homebrew/opt/postgresql@15/bin"),
)
_REDIS: Final = " v=7."


def oldest_servers() -> Iterator[tuple[str, str]]:
    """Pairs of variable and path, none where there is no such server."""
    folder = next((folder for folder in _POSTGRES if (folder / "postgres").exists()), None)
    if folder:
        yield "POSTGRES_BIN", str(folder)
    redis = shutil.which("redis-server")
    if redis:
        said = subprocess.run([redis, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
        if _REDIS in said:
            yield "REDIS_SERVER", redis


if __name__ == "__main__":
    print(*(f"{name}={path}" for name, path in oldest_servers()))  # noqa: T201 - its output is its purpose
