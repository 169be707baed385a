"""The kernel is tested through the service that the README shows."""

import notes
import pytest

from microdemo_core.settings import Settings
from microdemo_core.testing.service import ServiceUnderTest


@pytest.fixture(scope="session")
def service() -> ServiceUnderTest:
    return ServiceUnderTest("notes", notes.create_app, Settings, notes.MIGRATIONS)
