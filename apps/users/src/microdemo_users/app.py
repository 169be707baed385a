"""The users service: accounts, sign-in, preferences, counts and CSV."""

from pathlib import Path
from typing import Final

from litestar import Litestar
from litestar.di import Provide

from microdemo_core.auth import Passwords
from microdemo_core.plugin import KernelPlugin
from microdemo_users.controllers import (
    AccountController,
    AnalyticsController,
    EntryController,
    OwnAccountController,
    TransferController,
)
from microdemo_users.dependencies import provide_accounts, provide_analytics, provide_directory, provide_sign_in
from microdemo_users.guards import provide_own_account, requires_open_account
from microdemo_users.settings import UsersSettings

__all__ = ("MIGRATIONS", "create_app")

MIGRATIONS: Final = Path(__file__).with_name("migrations")


def create_app(settings: UsersSettings | None = None) -> Litestar:
    passwords = Passwords()
    return Litestar(
        [EntryController, OwnAccountController, AnalyticsController, TransferController, AccountController],
        guards=[requires_open_account],
        dependencies={
            "accounts": Provide(provide_accounts),
            "analytics": Provide(provide_analytics),
            "directory": Provide(provide_directory),
            "own_account": Provide(provide_own_account),
            "passwords": Provide(lambda: passwords, use_cache=True, sync_to_thread=False),
            "sign_in": Provide(provide_sign_in),
        },
        on_shutdown=[passwords.aclose],
        plugins=[KernelPlugin(settings or UsersSettings.load(), name="users", migrations=MIGRATIONS)],
    )
