"""JSON bodies at the edges: what is read as JSON, and what is sent that is JSON already."""

from typing import Any, Final

from litestar import MediaType, Response
from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler

from microdemo_core.problems import UnsupportedMediaType

__all__ = ("encoded_response", "requires_json_body")

_JSON: Final = RequestEncodingType.JSON.value


async def requires_json_body(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard for the whole app: Litestar reads any body as what the handler expects.

    A body without any Content-Type passes: it can be nothing else.

    Raises: UnsupportedMediaType, where the handler reads JSON.
    """
    if not isinstance(handler, HTTPRouteHandler) or (field := handler.parsed_data_field) is None:
        return
    if getattr(field.kwarg_definition, "media_type", _JSON) != _JSON:
        return
    media_type = connection.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if media_type != _JSON and not media_type.endswith("+json"):
        raise UnsupportedMediaType(f"Send this as {_JSON}.")


def encoded_response(
    payload: bytes, *, headers: dict[str, str] | None = None, status_code: int | None = None
) -> Response[Any]:
    """JSON as it lies in the cache, or in a column."""
    return Response(payload, media_type=MediaType.JSON, headers=headers, status_code=status_code)
