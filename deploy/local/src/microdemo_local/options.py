"""What the caller's environment asks for."""

import os
from collections.abc import Mapping
from typing import Self

import msgspec

from microdemo_local.errors import LocalError
from microdemo_local.layout import SERVICES


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """None where the environment says nothing: then the last answer, or the default, stands."""

    port: int | None = None
    replicas: int | None = None
    # Servers of one's own: such a database, or Redis, is not started here.
    database_urls: dict[str, str] = {}
    redis_url: str | None = None
    log_level: str | None = None

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        named = {service: environ.get(f"{service.upper()}_DATABASE_URL") for service in SERVICES}
        redis_url = environ.get("REDIS_URL")
        return cls(
            port=_number(environ, "PORT", 1, 65_535),
            replicas=_number(environ, "REPLICAS", 1, 16),
            database_urls={
                service: _plain(f"{service.upper()}_DATABASE_URL", url) for service, url in named.items() if url
            },
            redis_url=_plain("REDIS_URL", redis_url).rstrip("/") if redis_url else None,
            log_level=_plain("LOG_LEVEL", environ["LOG_LEVEL"]) if environ.get("LOG_LEVEL") else None,
        )


def _number(environ: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    value = environ.get(name)
    if not value:
        return None
    if not value.isdecimal() or not least <= int(value) <= most:
        message = f"{name} must be a whole number from {least} to {most}, and is {value!r}."
        raise LocalError(message)
    return int(value)


def _plain(name: str, value: str) -> str:
    # It is written into files with quoting rules of their own (supervisor's, dotenv's).
    if any(character in "'\"\\" or character.isspace() for character in value):
        message = f"{name} must hold neither quotes, backslashes nor white space: percent-encode them."
        raise LocalError(message)
    return value
