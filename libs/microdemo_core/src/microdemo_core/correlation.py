"""The correlation ID: one per request at the edge, carried through every service and log line."""

import re
import uuid
from contextvars import ContextVar
from typing import Final

__all__ = ("HEADER", "accept", "correlation_id")

HEADER: Final = "X-Request-ID"

correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)

_ACCEPTABLE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def accept(offered: str | None) -> str:
    """The caller's ID where it is safe to log and to send on, a new one otherwise."""
    return offered if offered and _ACCEPTABLE.fullmatch(offered) else uuid.uuid4().hex
