"""What the users service reads from its environment besides what every service does."""

from typing import Annotated

from msgspec import Meta

from microdemo_core.settings import Settings

__all__ = ("UsersSettings",)


class UsersSettings(Settings, frozen=True, kw_only=True):
    access_token_seconds: Annotated[int, Meta(ge=60)] = 1800
