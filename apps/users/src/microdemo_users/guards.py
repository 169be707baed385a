"""The token's account, as it is now: what the users service knows better than the token."""

from typing import Any

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from microdemo_core.auth import Principal
from microdemo_core.plugin import KernelPlugin
from microdemo_users.directory import Directory
from microdemo_users.errors import AccountClosed
from microdemo_users.schemas import AccountState

__all__ = ("provide_own_account", "requires_open_account")

_ACCOUNT = "users.account"
_decode = msgspec.json.Decoder(AccountState).decode


async def requires_open_account(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """For the whole app, before any route's own guard.

    A deactivated or deleted account's token is refused at once, and the stored role replaces the token's: one who was
    admin this morning is not one now. The account stays at hand for the handler, so ``GET /me`` costs no second read.
    """
    principal: Principal | None = connection.scope.get("user")
    if principal is None or principal.role == "service":
        return  # a public route, or OPTIONS; a service has no account
    kernel = connection.app.plugins.get(KernelPlugin)
    account = await Directory(kernel.cache, kernel.database).account.encoded(principal.user_id)
    if account is None:
        raise AccountClosed
    state = _decode(account)
    if not state.is_active:
        raise AccountClosed
    if state.role != principal.role:
        connection.scope["user"] = msgspec.structs.replace(principal, role=state.role)
    connection.scope["state"][_ACCOUNT] = account


async def provide_own_account(request: Request[Principal, Any, Any]) -> bytes:
    """The caller's :class:`~microdemo_users.schemas.User` as JSON, no older than the guard's look at it."""
    account: bytes = request.scope["state"][_ACCOUNT]
    return account
