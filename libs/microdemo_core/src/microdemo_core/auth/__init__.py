"""Tokens, principals, guards and passwords."""

from microdemo_core.auth.guards import requires_admin, requires_service, requires_user, requires_user_or_service
from microdemo_core.auth.middleware import PUBLIC, BearerAuthentication
from microdemo_core.auth.passwords import PARAMETERS, Passwords, Verified, temporary_password
from microdemo_core.auth.principal import Principal, Role
from microdemo_core.auth.tokens import InvalidToken, TokenSigner, TokenVerifier

__all__ = (
    "PARAMETERS",
    "PUBLIC",
    "BearerAuthentication",
    "InvalidToken",
    "Passwords",
    "Principal",
    "Role",
    "TokenSigner",
    "TokenVerifier",
    "Verified",
    "requires_admin",
    "requires_service",
    "requires_user",
    "requires_user_or_service",
    "temporary_password",
)
