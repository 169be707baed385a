"""Every exception that can leave a handler, as a problem document."""

import re
from collections.abc import Callable
from typing import Any, Final

import structlog
from advanced_alchemy.exceptions import DuplicateKeyError as RepositoryDuplicateKeyError
from advanced_alchemy.exceptions import IntegrityError as RepositoryIntegrityError
from advanced_alchemy.exceptions import NotFoundError as RepositoryNotFoundError
from advanced_alchemy.exceptions import RepositoryError
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap
from sqlalchemy import exc as sa

from microdemo_core.problems import (
    BadRequest,
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    PayloadTooLarge,
    Problem,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    sentence,
)

__all__ = ("exception_handlers",)

_log = structlog.get_logger("microdemo.errors")

_MISSING: Final = re.compile(r"Object missing required field `(.+)`")

_Request = Request[Any, Any, Any]
_Response = Response[dict[str, Any]]

# SQLSTATE classes under which trying again later is the right advice: connection, resources, operator, lock.
_TRANSIENT = ("08", "53", "57", "40", "55P03", "25P03")

# Data exceptions: the caller's value, found out by the driver (22000) or by PostgreSQL.
_UNSTORABLE = ("22000", "22003", "22021", "22P05")

# A number beyond its type's range, a NUL in a text. Schemas should refuse these by name; this is the net below them.
_DATA_EXCEPTION = "22"


class InternalError(Problem):
    """500: our mistake. The document says nothing of it; the log does."""


def from_validation(error: ValidationException) -> Problem:
    """Litestar's findings as field errors; msgspec's ``Expected `int`, got `str` - at `$.items[0]``` names the path."""
    found = error.extra if isinstance(error.extra, list) else []
    errors = [_field_error(entry) for entry in found if isinstance(entry, dict)]
    if not errors:
        return BadRequest(sentence(error.detail))
    first = errors[0]
    return Invalid(f"{first.field}: {sentence(first.message)}", errors=errors)


def _field_error(entry: dict[str, Any]) -> FieldError:
    message, _, path = str(entry.get("message", "")).partition(" - at `")
    field = path.rstrip("`").removeprefix("$").lstrip(".")
    if missing := _MISSING.fullmatch(message):
        # msgspec's path is that of the object; a form marks the input.
        return FieldError(f"{field}.{missing[1]}".lstrip("."), "this is missing")
    key = str(entry.get("key", ""))
    if not field:
        field = "" if key == "data" else key.removeprefix("data.")
    return FieldError(field or "body", message)


def from_http(error: HTTPException) -> Problem:
    """Litestar's own errors by status: routing, body parsing, methods."""
    by_status: dict[int, Callable[[str], Problem]] = {
        400: BadRequest,
        401: Unauthenticated,
        403: Forbidden,
        404: lambda _: NotFound("There is nothing at this address."),
        413: PayloadTooLarge,
        415: UnsupportedMediaType,
        429: TooManyRequests,
        503: Unavailable,
    }
    if make := by_status.get(error.status_code):
        return make(sentence(error.detail))
    problem = InternalError(sentence(error.detail))
    problem.status_code, problem.title, problem.headers = error.status_code, error.detail, error.headers
    return problem


def from_database(error: Exception) -> Problem:
    """What a driver raised: a constraint is the caller's conflict, a lost connection is nobody's."""
    if isinstance(error, sa.TimeoutError):
        return Unavailable("The service is busy: no database connection came free in time.", retry_after_seconds=1)
    if isinstance(error, sa.DBAPIError):
        if isinstance(error, sa.IntegrityError):
            return Conflict("This contradicts something already stored.")
        state = str(getattr(error.orig, "sqlstate", None) or "")
        if state.startswith(_DATA_EXCEPTION):
            message = "a number or a text here is one that the database cannot hold"
            return Invalid(f"{message.capitalize()}.", errors=[FieldError("request", message)])
        if state.startswith(_UNSTORABLE):
            message = "a number is out of range, or a text holds a NUL character"
            return Invalid(f"This cannot be stored or looked up: {message}.", errors=[FieldError("request", message)])
        if error.connection_invalidated or state.startswith(_TRANSIENT) or isinstance(error, sa.InterfaceError):
            return Unavailable("The database does not answer just now.", retry_after_seconds=1)
    return InternalError("Something went wrong on our side. The log has it under this request's ID.")


def _from_repository(error: RepositoryError) -> Problem:
    if isinstance(error, RepositoryNotFoundError):
        return NotFound("There is no such thing, or no longer.")
    if isinstance(error, RepositoryDuplicateKeyError):
        return Conflict("This exists already.")
    if isinstance(error, RepositoryIntegrityError):
        return Conflict("This contradicts something already stored.")
    cause = error.__cause__
    return from_database(cause if isinstance(cause, Exception) else error)


def _answer(request: _Request, problem: Problem, error: Exception) -> _Response:
    if problem.status_code >= 500:  # noqa: PLR2004 - the server's errors
        # The message may hold SQL or a value; the type and the frames tell where to look.
        _log.error("request failed", status=problem.status_code, error=type(error).__name__, at=_frames(error))
    return problem.to_response(request)


def _frames(error: BaseException) -> list[str]:
    frames, traceback = [], error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('site-packages/')[2]}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return frames[-8:]


def exception_handlers() -> ExceptionHandlersMap:
    def on_problem(request: _Request, error: Problem) -> _Response:
        return _answer(request, error, error)

    def on_validation(request: _Request, error: ValidationException) -> _Response:
        return _answer(request, from_validation(error), error)

    def on_http(request: _Request, error: HTTPException) -> _Response:
        return _answer(request, from_http(error), error)

    def on_repository(request: _Request, error: RepositoryError) -> _Response:
        return _answer(request, _from_repository(error), error)

    def on_any(request: _Request, error: Exception) -> _Response:
        if isinstance(error, ConnectionError | TimeoutError):
            # asyncpg raises these bare while PostgreSQL is away.
            return _answer(request, Unavailable("A part this needs does not answer just now."), error)
        if isinstance(error, RecursionError) and "deserializing" in str(error):
            # msgspec's, about a body of a hundred thousand brackets; any other would be our mistake.
            return _answer(request, BadRequest("This is nested too deeply to be read."), error)
        return _answer(request, from_database(error), error)

    return {
        Problem: on_problem,
        ValidationException: on_validation,
        HTTPException: on_http,
        RepositoryError: on_repository,
        Exception: on_any,
    }
