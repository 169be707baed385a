"""The multipart side of an import: the one part named ``file``, whatever else the client sent.

Litestar's own ``data: UploadFile`` takes the first file under any name and answers 500 to a text part in its place,
to two files, and to a text part that is not UTF-8; here each of these is a sentence.
"""

from dataclasses import dataclass
from typing import Any, Final

from litestar import Request, post
from litestar.datastructures import UploadFile
from litestar.di import Provide
from litestar.enums import RequestEncodingType
from litestar.exceptions import HTTPException
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.status_codes import HTTP_200_OK, HTTP_413_REQUEST_ENTITY_TOO_LARGE

from microdemo_core.csv.limits import MAX_BODY_BYTES
from microdemo_core.problems import BadRequest, FieldError, Invalid, PayloadTooLarge, UnsupportedMediaType

__all__ = ("csv_import_route", "provide_upload")

_PART: Final = "file"


def csv_import_route(path: str, *, deadline_seconds: float, **options: Any) -> post:
    """``@post`` for a handler that asks for ``upload: NamedDependency[UploadFile]`` and answers 200 with a report.

    ``deadline_seconds`` stands for the request's usual few; ``options`` are ``@post``'s own.
    """
    return post(
        path,
        status_code=HTTP_200_OK,
        operation_class=_ImportOperation,
        opt={"deadline_seconds": deadline_seconds},
        request_max_body_size=MAX_BODY_BYTES,
        dependencies={"upload": Provide(provide_upload)},
        **options,
    )


async def provide_upload(request: Request[Any, Any, Any]) -> UploadFile:
    """A dependency. Litestar spools the part (to disk from 1 MB on) and closes it after the response.

    Raises: UnsupportedMediaType, BadRequest (no readable multipart), PayloadTooLarge, Invalid (no file in it).
    """
    content_type, parameters = request.content_type
    if content_type != RequestEncodingType.MULTI_PART:
        raise UnsupportedMediaType(f"Send the CSV file as multipart/form-data, in a part named {_PART}.")
    if not parameters.get("boundary"):
        raise BadRequest("The Content-Type header names no multipart boundary.")
    try:
        form = await request.form()
    except HTTPException as error:
        if error.status_code == HTTP_413_REQUEST_ENTITY_TOO_LARGE:
            limit = request.route_handler.resolve_request_max_body_size() or MAX_BODY_BYTES
            raise PayloadTooLarge(f"The upload is larger than {limit // 2**20} MB; split the file.") from error
        raise BadRequest("The request body is no readable multipart/form-data.") from error
    except (UnicodeDecodeError, LookupError) as error:  # a text part's charset
        raise BadRequest("A text part of the request has an unreadable encoding.") from error
    parts = form.getall(_PART, [])
    if len(parts) == 1 and isinstance(parts[0], UploadFile):
        return parts[0]
    sentence = "Send one CSV file." if parts else f"The request has no part named {_PART}."
    if len(parts) == 1:
        sentence = f"The part named {_PART} is text: send it as a file, with a file name."
    raise Invalid(sentence, errors=[FieldError(_PART, sentence)])


@dataclass
class _ImportOperation(Operation):
    """A dependency does not show the request's body in OpenAPI."""

    def __post_init__(self) -> None:
        file = Schema(
            type=OpenAPIType.STRING, content_media_type="text/csv", description="CSV in UTF-8, with a header."
        )
        form = Schema(type=OpenAPIType.OBJECT, properties={_PART: file}, required=[_PART])
        media_type = RequestEncodingType.MULTI_PART.value
        self.request_body = RequestBody(content={media_type: OpenAPIMediaType(schema=form)}, required=True)
