"""Errors that know their status, answered as RFC 9457 problem documents.

    Problem
    ├── the caller can mend it
    │   ├── BadRequest            400  unreadable
    │   ├── Unauthenticated       401  no valid token
    │   ├── Forbidden             403  not yours
    │   ├── NotFound              404
    │   ├── Conflict              409  at odds with the current state
    │   ├── PreconditionFailed    412  stale If-Match
    │   ├── PayloadTooLarge       413
    │   ├── UnsupportedMediaType  415
    │   ├── Invalid               422  well-formed, but a field is wrong
    │   └── TooManyRequests       429  with Retry-After
    └── the caller can only try again
        ├── BadGateway            502  a peer answered nonsense
        ├── Unavailable           503  with Retry-After
        └── GatewayTimeout        504

A service subclasses the one whose status fits and names the condition: ``class InsufficientStock(Conflict)``.
"""

import math
import re
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
from litestar import Request, Response
from litestar.plugins.problem_details import ProblemDetailsException

__all__ = (
    "BadGateway",
    "BadRequest",
    "Conflict",
    "FieldError",
    "Forbidden",
    "GatewayTimeout",
    "Invalid",
    "NotFound",
    "PayloadTooLarge",
    "PreconditionFailed",
    "Problem",
    "ProblemDetails",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedMediaType",
    "sentence",
)


_PREFIX = re.compile(r"/[a-z]+")


def sentence(text: str) -> str:
    """Ends as a sentence does."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


class FieldError(msgspec.Struct, frozen=True):
    """One wrong input: the ``field``'s path in the request, ``items[0].quantity``, and what would be right."""

    field: str
    message: str


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """The shape of every error document; ``detail`` is always a sentence for a person."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] = []


class Problem(ProblemDetailsException):
    """Base of the tree. ``members`` join the document beside the standard ones."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    type: ClassVar[str] = "about:blank"

    def __init__(self, detail: str, *, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(
            detail=detail,
            status_code=self.status.value,
            title=self.status.phrase,
            type_=self.type,
            headers=headers,
            extra=members or None,
        )

    def __str__(self) -> str:
        return f"{self.status.value} {type(self).__name__}: {self.detail}"

    def to_response(self, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """Names the address as the client knows it, with the gateway's prefix before it."""
        path = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0] or request.url.path
        prefix = request.headers.get("x-forwarded-prefix", "")
        self.instance = f"{prefix}{path}" if _PREFIX.fullmatch(prefix) else path
        return super().to_response(request)


class BadRequest(Problem):
    status = HTTPStatus.BAD_REQUEST


class Unauthenticated(Problem):
    status = HTTPStatus.UNAUTHORIZED

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"}, **members)


class Forbidden(Problem):
    status = HTTPStatus.FORBIDDEN


class NotFound(Problem):
    status = HTTPStatus.NOT_FOUND


class Conflict(Problem):
    status = HTTPStatus.CONFLICT


class PreconditionFailed(Problem):
    status = HTTPStatus.PRECONDITION_FAILED


class PayloadTooLarge(Problem):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaType(Problem):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Invalid(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, detail: str, *, errors: list[FieldError], **members: Any) -> None:
        super().__init__(detail, errors=errors, **members)
        self.errors = errors

    @classmethod
    def field(cls, field: str, message: str) -> "Invalid":
        """One wrong field; its message is the document's sentence too."""
        return cls(f"{field}: {sentence(message)}", errors=[FieldError(field, message)])


class _TryLater(Problem):
    def __init__(self, detail: str, *, retry_after_seconds: float = 1, **members: Any) -> None:
        seconds = max(1, math.ceil(retry_after_seconds))
        super().__init__(detail, headers={"Retry-After": str(seconds)}, **members)


class TooManyRequests(_TryLater):
    status = HTTPStatus.TOO_MANY_REQUESTS


class BadGateway(Problem):
    status = HTTPStatus.BAD_GATEWAY


class Unavailable(_TryLater):
    status = HTTPStatus.SERVICE_UNAVAILABLE


class GatewayTimeout(Problem):
    status = HTTPStatus.GATEWAY_TIMEOUT
