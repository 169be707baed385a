"""The pytest plugin: real servers once per run, a database per worker, an app, a client, clean after each test.

It loads itself where microdemo-core[testing] is installed. A service's ``conftest.py`` gives it one fixture::

    @pytest.fixture(scope="session")
    def service() -> ServiceUnderTest:
        return ServiceUnderTest("users", create_app, UsersSettings, MIGRATIONS)

and its tests ask for ``client`` and ``tokens``.
"""

from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Registers the fixtures after every other plugin's, so that our ``anyio_backend`` stands, not anyio's."""
    from microdemo_core.testing import fixtures  # noqa: PLC0415 - after assertion rewriting and warning filters

    config.pluginmanager.register(fixtures, "microdemo-fixtures")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Under pytest-xdist the controller owns the servers and tells the workers where they are."""
    from microdemo_core.testing.run import start_servers  # noqa: PLC0415

    node.workerinput["microdemo_urls"] = start_servers(node.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    from microdemo_core.testing.run import stop_servers  # noqa: PLC0415

    stop_servers(config)
