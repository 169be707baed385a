"""The kernel is tested through the service that the README shows."""

import sys
from pathlib import Path

import pytest

from microdemo_core.settings import Settings
from microdemo_core.testing.service import ServiceUnderTest

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "notes"))


@pytest.fixture(scope="session")
def service() -> ServiceUnderTest:
    import notes

    return ServiceUnderTest("notes", notes.create_app, Settings, notes.MIGRATIONS)
