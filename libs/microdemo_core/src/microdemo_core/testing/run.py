"""The servers of one test run: started by whoever asks first, stopped with the run."""

from contextlib import ExitStack

import pytest

from microdemo_core.testing import servers

__all__ = ("start_servers", "stop_servers")

_running = pytest.StashKey[ExitStack]()
_urls = pytest.StashKey[tuple[str, str]]()


def start_servers(config: pytest.Config) -> tuple[str, str]:
    """URLs of PostgreSQL, as superuser, and of Valkey, without a database number."""
    if _urls not in config.stash:
        stack = config.stash.setdefault(_running, ExitStack())
        postgres = stack.enter_context(servers.postgres())
        valkey = stack.enter_context(servers.valkey(databases=512))
        config.stash[_urls] = (postgres.url, valkey.url)
    return config.stash[_urls]


def stop_servers(config: pytest.Config) -> None:
    if _running in config.stash:
        config.stash[_running].close()
