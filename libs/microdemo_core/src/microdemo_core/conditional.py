"""Conditional requests: 304 for what a client has already, 412 before it overwrites what it has not seen.

RFC 9110, section 13. A tag here is always strong: the same tag means the same bytes, so make it of an id that is never
used twice and a version that every change raises. Handlers declare :data:`IfMatch` and :data:`IfNoneMatch`, which puts
both into OpenAPI.
"""

import re
from http import HTTPStatus
from typing import Annotated, Any, Final

from litestar import Response
from litestar.enums import MediaType
from litestar.params import HeaderParameter

from microdemo_core.problems import PreconditionFailed

__all__ = ("IfMatch", "IfNoneMatch", "StaleVersion", "conditional_response", "entity_tag", "require_match")

IfMatch = Annotated[
    str | None,
    HeaderParameter(name="If-Match", description="The `ETag` this change is based on; 412 if there is a newer one."),
]
IfNoneMatch = Annotated[
    str | None,
    HeaderParameter(name="If-None-Match", description="An `ETag` seen before; 304 if it is still the current one."),
]

# entity-tag = [ "W/" ] DQUOTE *( %x21 / %x23-7E / obs-text ) DQUOTE; a comma may stand inside the quotes.
_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_EACH: Final = re.compile(_TAG)
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]+")


class StaleVersion(PreconditionFailed):
    """It has changed since the caller read it; ``current`` is its tag now."""

    def __init__(self, current: str) -> None:
        super().__init__(
            "This has changed since you read it. Read it again, and repeat your change on that.",
            headers={"ETag": current},
            current=current,
        )


def entity_tag(*parts: int | str) -> str:
    """``entity_tag(7, 3)`` is ``"7.3"``, quotes included."""
    text = ".".join(map(str, parts))
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"{text!r} would need escaping in a header")
    return f'"{text}"'


def require_match(if_match: str | None, current: str) -> None:
    """To be called with the row locked. Without the header, or with ``*``, any version will do.

    A weak tag never matches, as the RFC has it: it does not promise that the client saw these bytes.

    Raises: StaleVersion, also for a header that cannot be read.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if current not in _tags(if_match):
        raise StaleVersion(current)


def conditional_response(if_none_match: str | None, content: object, current: str) -> Response[Any]:
    """``content`` as JSON (bytes are sent as they are), or 304 without it. An unreadable header asks for the whole.

    ``no-cache`` lets a browser keep the answer and makes it ask each time; ``private`` keeps it out of shared caches.
    """
    headers = {"ETag": current, "Cache-Control": "private, no-cache"}
    if if_none_match is not None and _is_known(if_none_match, current):
        return Response(None, status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, media_type=MediaType.JSON, headers=headers)


def _is_known(if_none_match: str, current: str) -> bool:
    if if_none_match.strip() == "*":
        return True
    # Weak comparison: a gateway that compresses makes our tags weak on the way out.
    return current in {tag.removeprefix("W/") for tag in _tags(if_none_match)}


def _tags(header: str) -> list[str]:
    return _EACH.findall(header) if _LIST.fullmatch(header) else []
