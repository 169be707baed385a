"""Settings from the environment: typed, frozen, read once at boot, and refused as a whole.

A service subclasses :class:`Settings` with what it needs besides; the variable of a field is its name in
capitals (``database_url`` is ``DATABASE_URL``), and a name that ends in ``_seconds`` says its unit.
"""

import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from msgspec import Meta
from redis.asyncio.connection import parse_url
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

__all__ = ("HttpUrl", "PositiveSeconds", "Settings", "SettingsError")

PositiveSeconds = Annotated[float, Meta(gt=0)]
HttpUrl = Annotated[str, Meta(pattern=r"^https?://[^/\s]+$", description="scheme and host, no path")]

_SHORTEST_SECRET = 32
_PLACEHOLDERS = ("change", "secret", "placeholder", "example", "password", "insecure", "dev-")


class SettingsError(Exception):
    """Lists everything that is wrong with the environment, one line each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("These settings are wrong or missing:\n" + "\n".join(f"  {line}" for line in problems))


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service needs. Secrets never appear in its ``repr``."""

    secrets: ClassVar[frozenset[str]] = frozenset({"database_url", "redis_url", "jwt_secret_key"})

    database_url: Annotated[str, Meta(pattern=r"^postgresql(\+asyncpg)?://")]
    redis_url: Annotated[str, Meta(pattern=r"^(redis|rediss|unix)://")]
    jwt_secret_key: str
    environment: Literal["local", "production"] = "production"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    commit: str = "unknown"

    pool_size: Annotated[int, Meta(ge=1, le=200)] = 10
    pool_timeout_seconds: PositiveSeconds = 0.5
    statement_timeout_seconds: PositiveSeconds = 5.0
    redis_timeout_seconds: PositiveSeconds = 0.05
    request_timeout_seconds: PositiveSeconds = 5.0
    access_token_seconds: Annotated[int, Meta(ge=60)] = 1800

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Raises: SettingsError, naming every variable that is missing or wrong."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for field in msgspec.structs.fields(cls):
            variable = field.name.upper()
            text = environ.get(variable, "").strip()
            if not text:
                if field.required:
                    problems.append(f"{variable} is missing")
                continue
            try:
                values[field.name] = msgspec.convert(text, field.type, strict=False)
            except msgspec.ValidationError as error:
                # msgspec quotes no value, so this is safe for secrets too.
                problems.append(f"{variable}: {str(error)[0].lower()}{str(error)[1:]}")
        problems += cls.check(values)
        if problems:
            raise SettingsError(problems)
        return cls(**values)

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> list[str]:
        """What no single field's type can say; a subclass adds its own."""
        problems = []
        if url := values.get("database_url"):
            try:
                if not make_url(url).database:
                    problems.append("DATABASE_URL names no database")
            except (ArgumentError, ValueError):  # the latter for a port that is no number
                problems.append("DATABASE_URL is no URL: postgresql://user:password@host:5432/database is one")
        if url := values.get("redis_url"):
            try:
                parse_url(url)
            except ValueError:
                problems.append("REDIS_URL is no URL: redis://:password@host:6379/0 is one (a password is quoted)")
        if values.get("environment", "production") != "local" and (secret := values.get("jwt_secret_key")):
            if len(secret.encode()) < _SHORTEST_SECRET:
                problems.append(f"JWT_SECRET_KEY is shorter than {_SHORTEST_SECRET} bytes")
            elif any(word in secret.lower() for word in _PLACEHOLDERS) or len(set(secret)) < 10:  # noqa: PLR2004 - a random secret of 32 characters has more
                problems.append("JWT_SECRET_KEY looks like a placeholder: make one with `openssl rand -base64 48`")
        return problems

    def __repr__(self) -> str:
        shown = (
            f"{name}={'***' if name in self.secrets else repr(getattr(self, name))}" for name in self.__struct_fields__
        )
        return f"{type(self).__name__}({', '.join(shown)})"
