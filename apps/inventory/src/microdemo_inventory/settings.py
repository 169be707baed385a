"""What the inventory service reads from its environment: what every service does."""

from microdemo_core.settings import Settings

__all__ = ("InventorySettings",)


class InventorySettings(Settings, frozen=True, kw_only=True):
    pass
