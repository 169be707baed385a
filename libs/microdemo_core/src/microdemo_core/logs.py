"""JSON log lines on stdout, each with the service and the correlation ID, secrets redacted last of all."""

import logging
import re
import sys
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from microdemo_core.correlation import correlation_id

__all__ = ("configure_logging", "redact")

_HIDDEN: Final = "***"
_SECRET_NAME: Final = re.compile(
    r"authorization|cookie|passw|secret|token(?!_id)|hash|api_?key|database_url|redis_url", re.IGNORECASE
)
# A JWT, a bearer header, an argon2 hash, or the password in a URL, wherever in a text they stand; and the rest of a
# database error from where it quotes a row, a parameter or the statement. The first look-behind keeps the time linear:
# an address of 60,000 characters made of "eyJ" took 2.5 s.
_SECRET_TEXT: Final = re.compile(
    r"(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*|(?i:bearer)\s+[\w.~+/-]+=*|\$argon2\w*\$\S+|(?<=:)[^:/@\s]+(?=@[\w.\[-])"
    r"|(?s:(?:\bDETAIL: |\[SQL: |\bquery argument \$).*)"
)


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Hides values under telling names, and tokens, hashes and URL passwords inside any text."""
    return {name: _redacted(name, value) for name, value in event.items()}


def _redacted(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name):
        return _HIDDEN
    if isinstance(value, str):
        return _SECRET_TEXT.sub(_HIDDEN, value)
    if isinstance(value, dict):
        return {key: _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", item) for item in value]
    return value


def _add_correlation_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if (current := correlation_id.get()) is not None:
        event["correlation_id"] = current
    return event


def configure_logging(service: str, level: str) -> None:
    """Routes structlog and the standard library alike through one JSON formatter. Safe to call again."""

    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
        _add_correlation_id,
    ]
    rendered: list[Processor] = [
        # Where it went wrong, without the values of locals, which hold passwords.
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
        redact,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    # A line per call to a peer, and two per look at the schema's version, tell nothing that the metrics do not.
    for name in ("httpx", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
