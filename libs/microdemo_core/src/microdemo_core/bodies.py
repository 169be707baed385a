"""Only what says that it is JSON is read as JSON; Litestar reads any body as what the handler expects."""

from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler

from microdemo_core.problems import UnsupportedMediaType

__all__ = ("requires_json_body",)

_JSON: Final = RequestEncodingType.JSON.value


async def requires_json_body(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard for the whole app. A body without any Content-Type passes: it can be nothing else.

    Raises: UnsupportedMediaType, where the handler reads JSON.
    """
    if not isinstance(handler, HTTPRouteHandler) or (field := handler.parsed_data_field) is None:
        return
    if getattr(field.kwarg_definition, "media_type", _JSON) != _JSON:
        return
    media_type = connection.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if media_type != _JSON and not media_type.endswith("+json"):
        raise UnsupportedMediaType(f"Send this as {_JSON}.")
