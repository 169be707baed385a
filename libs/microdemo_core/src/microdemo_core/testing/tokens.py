"""Authorization headers for any principal, signed as the real issuers sign."""

from microdemo_core.auth import TokenSigner
from microdemo_core.testing.service import TEST_SECRET

__all__ = ("Tokens",)


class Tokens:
    """``tokens.user(7)`` are headers for a request: ``await client.get("/me", headers=tokens.user(7))``."""

    def __init__(self, key: str = TEST_SECRET) -> None:
        self._people = TokenSigner(key, issuer="users")
        self._key = key

    def user(self, user_id: int = 2, *, lifetime_seconds: int = 600) -> dict[str, str]:
        return _bearer(self._people.user_token(user_id, "user", lifetime_seconds=lifetime_seconds))

    def admin(self, user_id: int = 1, *, lifetime_seconds: int = 600) -> dict[str, str]:
        return _bearer(self._people.user_token(user_id, "admin", lifetime_seconds=lifetime_seconds))

    def service(self, audience: str, *, issuer: str = "orders", acting_for: int = 2) -> dict[str, str]:
        return _bearer(TokenSigner(self._key, issuer=issuer).service_token(audience, acting_for=acting_for))


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
