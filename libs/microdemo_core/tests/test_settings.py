"""Settings: what stops a boot, and what it says."""

import msgspec
import pytest

from microdemo_core.settings import HttpUrl, Settings, SettingsError

GOOD = {
    "DATABASE_URL": "postgresql://users:hunter2@127.0.0.1:5432/usersdb",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "JWT_SECRET_KEY": "q8Yb0c3vJm1Zr5T7xW9uKp2Ls4Nd6Fg8Hj",
}


def test_everything_wrong_is_listed_at_once() -> None:
    """One boot tells all that is missing or wrong, by variable."""
    with pytest.raises(SettingsError) as caught:
        Settings.load({"DATABASE_URL": "mysql://x", "POOL_SIZE": "0", "REQUEST_TIMEOUT_SECONDS": "soon"})
    text = str(caught.value)
    for variable in ("DATABASE_URL", "REDIS_URL is missing", "JWT_SECRET_KEY is missing", "POOL_SIZE", "REQUEST_TIME"):
        assert variable in text


@pytest.mark.parametrize("secret", ["tiny-1", "change-me-change-me-change-me-change-me", "a" * 40])
def test_a_weak_secret_stops_the_boot_outside_local_use(secret: str) -> None:
    """A placeholder or a short secret is refused in production and taken locally; its value is not repeated."""
    with pytest.raises(SettingsError, match="JWT_SECRET_KEY") as caught:
        Settings.load({**GOOD, "JWT_SECRET_KEY": secret})
    assert secret not in str(caught.value)
    assert Settings.load({**GOOD, "JWT_SECRET_KEY": secret, "ENVIRONMENT": "local"}).jwt_secret_key == secret


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("DATABASE_URL", "postgresql://users:hunter2@127.0.0.1:port/usersdb"),
        ("DATABASE_URL", "postgresql://users:hunter2@127.0.0.1:5432"),
        ("REDIS_URL", "redis://:hunter2/with/slashes@127.0.0.1:6379/0"),
    ],
)
def test_a_url_that_cannot_be_read_is_listed(variable: str, url: str) -> None:
    """It is one of the things that are wrong, not a traceback, and nothing of it is repeated."""
    with pytest.raises(SettingsError, match=variable) as caught:
        Settings.load({**GOOD, variable: url})
    assert "hunter2" not in str(caught.value)


def test_secrets_stay_out_of_the_repr() -> None:
    """A settings object may be logged."""
    text = repr(Settings.load(GOOD))
    assert "hunter2" not in text
    assert GOOD["JWT_SECRET_KEY"] not in text
    assert "pool_size=10" in text


def test_a_service_adds_its_own() -> None:
    """A subclass's fields are variables like the common ones."""

    class Shop(Settings, frozen=True, kw_only=True):
        peer_url: HttpUrl
        peer_timeout_seconds: float = 1.5

    assert Shop.load({**GOOD, "PEER_URL": "http://inventory:8000"}).peer_timeout_seconds == 1.5
    with pytest.raises(SettingsError, match="PEER_URL"):
        Shop.load({**GOOD, "PEER_URL": "inventory:8000/path"})


def test_settings_are_frozen() -> None:
    """Read once, changed never."""
    settings = Settings.load(GOOD)
    with pytest.raises(AttributeError):
        settings.pool_size = 3  # type: ignore[misc]  # the very thing it refuses
    assert msgspec.structs.asdict(settings)["environment"] == "production"
