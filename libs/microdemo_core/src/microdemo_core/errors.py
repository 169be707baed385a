"""Every exception that can leave a handler, as a problem document."""

import re
from ast import literal_eval
from collections.abc import Callable, Mapping
from http import HTTPStatus
from socket import gaierror
from traceback import StackSummary, walk_tb
from typing import Any, Final

import structlog
from advanced_alchemy.exceptions import DuplicateKeyError as RepositoryDuplicateKeyError
from advanced_alchemy.exceptions import IntegrityError as RepositoryIntegrityError
from advanced_alchemy.exceptions import NotFoundError as RepositoryNotFoundError
from advanced_alchemy.exceptions import RepositoryError
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers.base import BaseRouteHandler
from litestar.serialization import decode_json
from litestar.types import ExceptionHandlersMap
from sqlalchemy import exc as sa

from microdemo_core.patterns import in_words
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
_PATTERN: Final = re.compile(r"Expected `str` matching regex (.+)", re.DOTALL)
_NOT_THERE: Final = "this is missing"

_Request = Request[Any, Any, Any]
_Response = Response[dict[str, Any]]

# SQLSTATE classes under which trying again later is the right advice: connection, resources, operator, lock.
_TRANSIENT = ("08", "53", "57", "40", "55P03", "25P03")

# A value no column can hold: refused by the driver, too long, a number or a date out of range, a NUL in a text. Schemas
# should refuse these by name; this is the net below them. Other data exceptions (division by zero) are our mistakes.
_UNSTORABLE = ("22000", "22001", "22003", "22008", "22021", "22P05")


# What msgspec raises for a hundred thousand brackets, and for bytes that are no text, and Litestar lets through.
_UNREADABLE: Final[dict[type[Exception], str]] = {
    RecursionError: "The body is nested too deeply to be read.",
    UnicodeDecodeError: "The body is not UTF-8.",
}

# Where Litestar's own detail is the status' name.
_SENTENCES: Final[dict[int, str]] = {405: "This address does not take that method; see the Allow header."}


class InternalError(Problem):
    """500: our mistake. The document says nothing of it; the log does."""


def from_validation(error: ValidationException, words: Mapping[str, str], names: Mapping[str, str]) -> Problem:
    """Litestar's findings as field errors; msgspec's ``Expected `int`, got `str` - at `$.items[0]``` names the path.

    ``words`` say by pattern what a text should be; ``names``, by the handler's, what the client calls a parameter.
    """
    found = error.extra if isinstance(error.extra, list) else []
    errors = [_field_error(entry, words, names) for entry in found if isinstance(entry, dict)]
    if not errors:
        return BadRequest(sentence(error.detail))
    first = errors[0]
    return Invalid(f"{first.field}: {sentence(first.message)}", errors=errors)


def _field_error(entry: dict[str, Any], words: Mapping[str, str], names: Mapping[str, str]) -> FieldError:
    message, _, path = str(entry.get("message", "")).partition(" - at `")
    field = path.rstrip("`").removeprefix("$").lstrip(".")
    if missing := _MISSING.fullmatch(message):
        # msgspec's path is that of the object; a form marks the input.
        return FieldError(f"{field}.{missing[1]}".lstrip("."), _NOT_THERE)
    key = str(entry.get("key", ""))
    if not field:
        field = "" if key == "data" else names.get(key, key.removeprefix("data."))
    if pattern := _PATTERN.fullmatch(message):
        expression = literal_eval(pattern[1])  # msgspec quotes it as Python does
        message = f"this should be {words.get(expression, f'of the form {expression}')}"
    elif message == "'data'":  # Litestar's words for a body that is not there
        message = _NOT_THERE
    return FieldError(field or "body", message)


def _words_of(handler: BaseRouteHandler) -> Mapping[str, str]:
    """What each pattern in this handler's body asks for."""
    body = handler.parsed_fn_signature.parameters.get("data")
    return in_words(body.annotation) if body else {}


def _names_of(handler: BaseRouteHandler) -> Mapping[str, str]:
    """``Idempotency-Key`` for ``idempotency_key``: those that have a name of their own on the wire."""
    parameters = handler.parsed_fn_signature.parameters.items()
    return {name: wire for name, field in parameters if (wire := getattr(field.kwarg_definition, "name", None))}


def from_http(error: HTTPException) -> Problem:
    """Litestar's own errors by status: routing, body parsing, methods."""
    by_status: dict[int, Callable[[str], Problem]] = {
        400: BadRequest,
        401: Unauthenticated,
        403: Forbidden,
        404: lambda _: NotFound("There is nothing at this address."),
        413: lambda _: PayloadTooLarge("This is larger than may be sent here."),
        415: UnsupportedMediaType,
        429: TooManyRequests,
        503: Unavailable,
    }
    if make := by_status.get(error.status_code):
        return make(sentence(error.detail))
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _our_mistake()
    problem = InternalError(_SENTENCES.get(error.status_code) or sentence(error.detail))
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
        if state in _UNSTORABLE:
            message = "a number is out of range, or a text holds a NUL character"
            return Invalid(f"This cannot be stored or looked up: {message}.", errors=[FieldError("request", message)])
        if error.connection_invalidated or state.startswith(_TRANSIENT) or isinstance(error, sa.InterfaceError):
            return Unavailable("The database does not answer just now.", retry_after_seconds=1)
    return _our_mistake()


def _our_mistake() -> Problem:
    return InternalError("Something went wrong on our side. The log has it under this request's ID.")


def _from_repository(error: RepositoryError) -> Problem:
    cause = error.__cause__
    if isinstance(cause, sa.SQLAlchemyError) and not isinstance(cause, sa.IntegrityError):
        # advanced-alchemy calls whatever a statement fails of an integrity error, also a lost connection.
        return from_database(cause)
    if isinstance(error, RepositoryNotFoundError):
        return NotFound("There is no such thing, or no longer.")
    if isinstance(error, RepositoryDuplicateKeyError):
        return Conflict("This exists already.")
    if isinstance(error, RepositoryIntegrityError):
        return Conflict("This contradicts something already stored.")
    return from_database(cause if isinstance(cause, Exception) else error)


def _answer(request: _Request, problem: Problem, error: Exception) -> _Response:
    if problem.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # The message may hold SQL or a value; the type and the frames tell where to look.
        _log.error("request failed", status=problem.status_code, error=type(error).__name__, at=_frames(error))
    return problem.to_response(request)


def _is_about_the_body(error: BaseException) -> bool:
    """Whether Litestar was decoding JSON; the same error from anywhere else is our mistake."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return frames[-1].f_globals.get("__name__") == decode_json.__module__


def _frames(error: BaseException) -> list[str]:
    """The innermost eight, without their source lines."""
    frames = StackSummary.extract(walk_tb(error.__traceback__), lookup_lines=False)[-8:]
    return [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


def exception_handlers() -> ExceptionHandlersMap:
    def on_problem(request: _Request, error: Problem) -> _Response:
        return _answer(request, error, error)

    def on_validation(request: _Request, error: ValidationException) -> _Response:
        handler = request.route_handler
        return _answer(request, from_validation(error, _words_of(handler), _names_of(handler)), error)

    def on_http(request: _Request, error: HTTPException) -> _Response:
        return _answer(request, from_http(error), error)

    def on_repository(request: _Request, error: RepositoryError) -> _Response:
        return _answer(request, _from_repository(error), error)

    def on_any(request: _Request, error: Exception) -> _Response:
        if isinstance(error, ConnectionError | TimeoutError | gaierror):
            # asyncpg raises these bare while PostgreSQL, or its name, is away.
            return _answer(request, Unavailable("A part this needs does not answer just now."), error)
        if (detail := _UNREADABLE.get(type(error))) and _is_about_the_body(error):
            return _answer(request, BadRequest(detail), error)
        return _answer(request, from_database(error), error)

    return {
        Problem: on_problem,
        ValidationException: on_validation,
        HTTPException: on_http,
        RepositoryError: on_repository,
        Exception: on_any,
    }
