"""A peer's whole answer, read and closed."""

from collections.abc import Mapping
from typing import Any, Final, Self, TypeVar

import msgspec

from microdemo_core.clients.errors import PeerFailed
from microdemo_core.problems import (
    Conflict,
    FieldError,
    Invalid,
    NotFound,
    PreconditionFailed,
    Problem,
    TooManyRequests,
)

__all__ = ("Reply", "retry_after_seconds")

T = TypeVar("T")

# What our own caller can mend. Any other 4xx (a bad request, a token refused) means that we called wrongly.
_PASSED_ON: Final[dict[int, type[Problem]]] = {404: NotFound, 409: Conflict, 412: PreconditionFailed}
_STANDARD: Final = frozenset({"type", "title", "status", "detail", "instance", "errors", "headers"})


class _Document(msgspec.Struct, frozen=True):
    detail: str
    errors: list[FieldError] = []


class Reply(msgspec.Struct, frozen=True):
    """``headers`` finds names in any case. Names are httpx's, where it has them."""

    peer: str
    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300  # noqa: PLR2004 - HTTP's own numbers

    def decode(self, as_type: type[T]) -> T:
        """Raises: PeerFailed, if the body is not JSON of that shape."""
        try:
            return msgspec.json.decode(self.content, type=as_type)
        except msgspec.DecodeError as error:  # ValidationError is one
            raise PeerFailed(self.peer) from error

    def json(self) -> Any:
        """Raises: PeerFailed, if the body is not JSON."""
        return self.decode(Any)

    def raise_for_status(self) -> Self:
        """Passes 404, 409, 412, 422 and 429 on in the peer's own words and members.

        Raises:
            Problem: One of those.
            PeerFailed: For anything else outside 2xx.
        """
        if self.is_success:
            return self
        document = self.decode(_Document)
        members = {name: value for name, value in self.json().items() if name not in _STANDARD}
        if make := _PASSED_ON.get(self.status_code):
            raise make(document.detail, **members)
        if self.status_code == Invalid.status:
            raise Invalid(document.detail, errors=document.errors, **members)
        if self.status_code == TooManyRequests.status:
            raise TooManyRequests(document.detail, retry_after_seconds=retry_after_seconds(self.headers) or 1)
        raise PeerFailed(self.peer)


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """The header in seconds; None if absent, or a date, which no service of ours sends."""
    text = headers.get("Retry-After", "")
    return int(text) if text.isascii() and text.isdigit() else None
