"""How a handler gets its service object: built per request from the kernel's parts."""

from litestar.di import NamedDependency

from microdemo_core.auth import Passwords, TokenSigner
from microdemo_core.cache import Cache
from microdemo_core.db import Database
from microdemo_core.dependencies import Work
from microdemo_users.accounts import Accounts
from microdemo_users.analytics import Analytics
from microdemo_users.directory import Directory
from microdemo_users.settings import UsersSettings
from microdemo_users.sign_in import SignIn

__all__ = ("provide_accounts", "provide_analytics", "provide_directory", "provide_sign_in")


async def provide_accounts(uow: Work, passwords: NamedDependency[Passwords]) -> Accounts:
    return Accounts(uow, passwords)


async def provide_analytics(cache: NamedDependency[Cache], database: NamedDependency[Database]) -> Analytics:
    return Analytics(cache, database)


async def provide_directory(cache: NamedDependency[Cache], database: NamedDependency[Database]) -> Directory:
    return Directory(cache, database)


async def provide_sign_in(
    database: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
    signer: NamedDependency[TokenSigner],
    settings: NamedDependency[UsersSettings],
) -> SignIn:
    return SignIn(database, passwords, signer, settings.access_token_seconds)
