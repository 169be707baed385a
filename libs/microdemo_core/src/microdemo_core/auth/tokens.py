"""Bearer tokens, signed and verified: the only module that imports python-jose.

python-jose accepts a token without ``exp`` or ``aud``, ignores ``crit``, and lets the token choose the algorithm
unless told otherwise, so the algorithm is pinned and every claim we rely on is required and checked here.
"""

import time
import uuid
from collections import OrderedDict
from typing import Annotated, Any, Final, Literal

import msgspec
from jose import JWTError, jwt
from msgspec import Meta

from microdemo_core.auth.principal import Principal, Role

__all__ = ("USER_AUDIENCE", "InvalidToken", "TokenSigner", "TokenVerifier")

USER_AUDIENCE: Final = "microdemo"
USER_ISSUER: Final = "users"
SERVICE_TOKEN_SECONDS: Final = 60

_ALGORITHM: Final = "HS256"
_LONGEST_TOKEN: Final = 4096
_CLOCK_SKEW_SECONDS: Final = 5
_REMEMBERED_TOKENS: Final = 10_000


class InvalidToken(Exception):  # noqa: N818 - the condition is the name
    """Says in a few words why, for the log and for a person; never quotes the token."""


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    # An account's id: no more digits than a column of PostgreSQL's holds.
    sub: Annotated[str, Meta(pattern=r"^[0-9]{1,18}\Z")]
    role: Role
    iat: int
    nbf: int
    exp: int
    jti: str
    must_change_password: bool = False


class TokenSigner:
    """Signs as one issuer. The users service signs for people, any other only ``service`` tokens of 60 seconds."""

    def __init__(self, key: str, *, issuer: str) -> None:
        self._key = key
        self._issuer = issuer

    def user_token(
        self, user_id: int, role: Literal["user", "admin"], *, lifetime_seconds: int, must_change_password: bool = False
    ) -> str:
        extra = {"must_change_password": True} if must_change_password else {}
        return self._sign(USER_AUDIENCE, user_id, role, lifetime_seconds, extra)

    def service_token(self, audience: str, *, acting_for: int) -> str:
        """For one peer, on behalf of one user."""
        return self._sign(audience, acting_for, "service", SERVICE_TOKEN_SECONDS, {})

    def _sign(self, audience: str, user_id: int, role: Role, lifetime_seconds: int, extra: dict[str, Any]) -> str:
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": audience,
            "sub": str(user_id),
            "role": role,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime_seconds,
            "jti": uuid.uuid4().hex,
            **extra,
        }
        return str(jwt.encode(claims, self._key, algorithm=_ALGORITHM))


class TokenVerifier:
    """Turns a token into a principal, and remembers it until it expires: 0.2 µs instead of 53 µs.

    ``audience`` is this service's name; tokens for people carry :data:`USER_AUDIENCE` and are good everywhere.
    """

    def __init__(self, key: str, *, audience: str) -> None:
        self._key = key
        self._audience = audience
        self._verified: OrderedDict[str, Principal] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """Raises: InvalidToken."""
        if principal := self._verified.get(token):
            if principal.expires_at > time.time():
                return principal
            del self._verified[token]
        principal = self._decode(token)
        self._verified[token] = principal
        if len(self._verified) > _REMEMBERED_TOKENS:
            self._verified.popitem(last=False)
        return principal

    def _decode(self, token: str) -> Principal:
        if len(token) > _LONGEST_TOKEN:
            raise InvalidToken("it is too long")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != _ALGORITHM or "crit" in header or header.get("typ") != "JWT":
                raise InvalidToken("its header is not one of ours")
            raw = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                options={"verify_aud": False, "verify_sub": False, "leeway": _CLOCK_SKEW_SECONDS},
            )
            claims = msgspec.convert(raw, _Claims)
            user_id = int(claims.sub)
        except JWTError as error:
            expired = "expired" in str(error).lower()
            raise InvalidToken("it has expired" if expired else "its signature or form is wrong") from None
        except (msgspec.ValidationError, ValueError):
            raise InvalidToken("a claim is missing or of the wrong type") from None
        self._check(claims)
        return Principal(user_id, claims.role, claims.iss, claims.jti, claims.exp, claims.must_change_password)

    def _check(self, claims: _Claims) -> None:
        """Binds each issuer to what it may say, whoever holds the shared key."""
        if claims.role == "service":
            if claims.iss == USER_ISSUER or claims.exp - claims.iat > SERVICE_TOKEN_SECONDS:
                raise InvalidToken("its issuer may not say that")
            if claims.aud != self._audience:
                raise InvalidToken("it is meant for another service")
        elif claims.iss != USER_ISSUER:
            raise InvalidToken("its issuer may not say that")
        elif claims.aud != USER_AUDIENCE:
            raise InvalidToken("it is meant for another audience")
        now = time.time()
        if claims.exp <= now:
            raise InvalidToken("it has expired")
        if claims.iat > now + _CLOCK_SKEW_SECONDS:
            raise InvalidToken("it was issued in the future")
