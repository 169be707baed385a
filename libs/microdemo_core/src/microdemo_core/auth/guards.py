"""Guards: verbs of policy for a route's or a controller's ``guards=[…]``.

Ownership is a property of a row, not of a route, so it is asked where the row is known:
``principal.may_act_for(order.user_id)``.
"""

from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from microdemo_core.auth.principal import Principal, Role
from microdemo_core.problems import Forbidden

__all__ = ("GUARDS", "requires_admin", "requires_service", "requires_user", "requires_user_or_service")

_Connection = ASGIConnection[Any, Principal, Any, Any]


def _require(connection: _Connection, allowed: frozenset[Role], sentence: str) -> None:
    if connection.scope.get("method") == "OPTIONS":
        return  # Litestar's own answer, of which no token is asked: it lists the methods
    if connection.user.role not in allowed:
        raise Forbidden(sentence)


async def requires_user(connection: _Connection, _: BaseRouteHandler) -> None:
    """Any person; a service's token is refused."""
    _require(connection, frozenset({"user", "admin"}), "This is for people: a service's token does not open it.")


async def requires_admin(connection: _Connection, _: BaseRouteHandler) -> None:
    _require(connection, frozenset({"admin"}), "Only an admin may do this.")


async def requires_service(connection: _Connection, _: BaseRouteHandler) -> None:
    _require(connection, frozenset({"service"}), "Only another service may do this.")


async def requires_user_or_service(connection: _Connection, _: BaseRouteHandler) -> None:
    """Everybody with a token; the handler asks further."""
    _require(connection, frozenset({"user", "admin", "service"}), "Sign in first.")


GUARDS: Final = frozenset({requires_user, requires_admin, requires_service, requires_user_or_service})
"""A route must carry one of these or be public; the plugin refuses to boot otherwise."""
