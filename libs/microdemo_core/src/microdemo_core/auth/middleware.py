"""Bearer token to principal, before any guard: a route is closed unless it is declared ``PUBLIC``."""

from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.middleware.authentication import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from microdemo_core.auth.tokens import InvalidToken, TokenVerifier
from microdemo_core.problems import Unauthenticated

__all__ = ("PUBLIC", "BearerAuthentication")

PUBLIC: Final = {"public": True}
"""``opt=PUBLIC`` opens a route to everybody; its OpenAPI entry then asks for no token."""


class BearerAuthentication(AbstractAuthenticationMiddleware):
    def __init__(self, app: ASGIApp, verifier: TokenVerifier) -> None:
        super().__init__(app, exclude_from_auth_key="public")
        self._verifier = verifier

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("Sign in first: this needs an Authorization header with a bearer token.")
        try:
            principal = self._verifier.verify(token.strip())
        except InvalidToken as error:
            raise Unauthenticated(f"This token is not accepted: {error}. Sign in again.") from None
        return AuthenticationResult(user=principal, auth=None)
