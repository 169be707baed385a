"""What the orders service needs besides the kernel's settings."""

from typing import Annotated

from msgspec import Meta

from microdemo_core.settings import HttpUrl, PositiveSeconds, Settings

__all__ = ("OrdersSettings",)


class OrdersSettings(Settings, frozen=True, kw_only=True):
    """A peer's time is for a whole call, its retry included; the request's own can only shorten it.

    ``placing_at_once`` orders of this process are placed together, others wait for a place (:mod:`.gate`).
    """

    users_url: HttpUrl
    inventory_url: HttpUrl
    users_timeout_seconds: PositiveSeconds = 0.8
    inventory_timeout_seconds: PositiveSeconds = 2.0
    placing_at_once: Annotated[int, Meta(ge=1, le=1000)] = 16
    placing_wait_seconds: PositiveSeconds = 4.0
