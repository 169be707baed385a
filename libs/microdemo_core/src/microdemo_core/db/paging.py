"""Lists: ``skip``/``limit`` or keyset ``cursor``, ``sort``, ``X-Total-Count`` and RFC 8288 ``Link``.

Links are relative references: a service does not know under which prefix the gateway serves it.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response
from litestar.params import Parameter
from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from microdemo_core.bodies import encoded_response
from microdemo_core.problems import Invalid

__all__ = (
    "MAX_LIMIT",
    "EncodedListing",
    "Listing",
    "PageRequest",
    "encoded_page_response",
    "fetch_page",
    "page_response",
    "provide_page",
)

MAX_LIMIT = 1000
DEFAULT_LIMIT = 500

# The query stands in each of the links, and a gateway answers 502 to headers that do not fit its buffer of 8 kB.
_LONGEST_LINK = 6_000

T = TypeVar("T")


class PageRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """``cursor`` is None for ``skip``/``limit``, empty for the first page of a keyset walk."""

    skip: int = 0
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    sort: str | None = None


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """One page; ``total`` counts all rows the filter leaves, ``next_cursor`` is set where a keyset walk goes on."""

    items: list[T]
    total: int
    next_cursor: str | None = None

    def encoded(self, read: Callable[[T], object]) -> "EncodedListing":
        """As it is sent; ``read`` makes what is shown of a row."""
        items = msgspec.json.encode([read(row) for row in self.items])
        return EncodedListing(msgspec.Raw(items), self.total, self.next_cursor)


class EncodedListing(msgspec.Struct, frozen=True):
    """A page as a cached read returns it. ``items`` is the JSON array; to find its end in 82 kB takes 28 µs."""

    items: msgspec.Raw
    total: int
    next_cursor: str | None = None


async def provide_page(
    skip: Annotated[int, Parameter(ge=0, description="Rows to pass over.")] = 0,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT, description="Rows to answer at most.")] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None,
        Parameter(description="Keyset paging: empty for the first page, then as in the `Link` header."),
    ] = None,
    sort: Annotated[str | None, Parameter(description="A field, with `-` before it for descending.")] = None,
) -> PageRequest:
    if cursor is not None and skip:
        raise Invalid.field("cursor", "give either cursor or skip, not both")
    return PageRequest(skip, limit, cursor, sort)


async def fetch_page(
    session: AsyncSession,
    statement: Select[T],
    request: PageRequest,
    *,
    key: InstrumentedAttribute[Any],
    sortable: Mapping[str, InstrumentedAttribute[Any]],
    default_sort: str,
) -> Listing[T]:
    """One page of ``statement``, filters included. ``key`` is unique and breaks ties; sort columns hold no NULL.

    Raises: Invalid for a ``sort`` or ``cursor`` that is not ours.
    """
    sort = request.sort or default_sort
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    if name not in sortable:
        raise Invalid.field("sort", f"{name!r} is no sort field; use one of {', '.join(sortable)}, with - to descend")
    column = sortable[name]
    total = await session.scalar(select(func.count()).select_from(statement.order_by(None).subquery()))

    ordered = statement.order_by(*((c.desc() if descending else c.asc()) for c in (column, key)))
    if request.cursor:
        after = tuple_(*_decode_cursor(request.cursor, sort, column, key))
        keys = tuple_(column, key)
        ordered = ordered.where(keys < after if descending else keys > after)
    else:
        ordered = ordered.offset(request.skip)
    # One row more than asked for tells whether the walk goes on.
    rows = list((await session.scalars(ordered.limit(request.limit + 1))).all())
    page, more = rows[: request.limit], len(rows) > request.limit
    cursor = None
    if more and request.cursor is not None:
        last = page[-1]
        cursor = _encode_cursor(sort, [getattr(last, column.key), getattr(last, key.key)])
    return Listing(items=page, total=total or 0, next_cursor=cursor)


def _headers(request: Request[Any, Any, Any], page: PageRequest, listing: EncodedListing) -> dict[str, str]:
    """``X-Total-Count``, and ``Link`` with the pages that exist."""
    total = listing.total
    kept = [
        (name, value) for name, value in request.query_params.multi_items() if name not in {"skip", "limit", "cursor"}
    ]

    def link(relation: str, **position: int | str) -> str:
        return f'<?{urlencode([*kept, *position.items(), ("limit", page.limit)])}>; rel="{relation}"'

    links: list[str] = []
    if page.cursor is not None:
        links.append(link("first", cursor=""))
        if listing.next_cursor:
            links.append(link("next", cursor=listing.next_cursor))
    else:
        last = max(0, (total - 1) // page.limit * page.limit)
        links.append(link("first", skip=0))
        if page.skip > 0:
            links.append(link("prev", skip=max(0, page.skip - page.limit)))
        if page.skip + page.limit < total:
            links.append(link("next", skip=page.skip + page.limit))
        links.append(link("last", skip=last))
    headers = {"X-Total-Count": str(total), "Link": ", ".join(links)}
    if len(headers["Link"]) > _LONGEST_LINK:
        del headers["Link"]
    return headers


def page_response(
    request: Request[Any, Any, Any], page: PageRequest, listing: Listing[Any], item: type[T]
) -> Response[list[T]]:
    """The rows as a bare array of ``item`` structs, with the page's headers."""
    shown = listing.encoded(lambda row: msgspec.convert(row, item, from_attributes=True))
    return encoded_page_response(request, page, shown)


def encoded_page_response(request: Request[Any, Any, Any], page: PageRequest, listing: EncodedListing) -> Response[Any]:
    """The same for a page out of the cache."""
    return encoded_response(bytes(listing.items), headers=_headers(request, page, listing))


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    sort: str
    values: list[Any]


def _encode_cursor(sort: str, values: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(_Cursor(sort, list(values)))).decode().rstrip("=")


def _decode_cursor(text: str, sort: str, *columns: InstrumentedAttribute[Any]) -> list[Any]:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cursor = msgspec.json.decode(raw, type=_Cursor)
        if cursor.sort != sort or len(cursor.values) != len(columns):
            raise Invalid.field("cursor", "it belongs to another sort order; start again with an empty cursor")
        return [
            msgspec.convert(value, column.type.python_type)
            for value, column in zip(cursor.values, columns, strict=True)
        ]
    except (binascii.Error, UnicodeError, msgspec.MsgspecError, ValueError):
        raise Invalid.field("cursor", "it is not one of ours; start again with an empty cursor") from None
