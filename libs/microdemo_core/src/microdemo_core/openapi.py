"""The OpenAPI 3.1 document as our services mean it: bearer tokens by default, problem documents as errors.

The document never names its own prefix: its server is ``..``, relative to where the document was read from, so "try it
out" and generated clients work behind ``/users/`` and directly alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Response, Router
from litestar.datastructures import ResponseHeader
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OpenAPI, SecurityScheme, Server
from litestar.routes import BaseRoute, HTTPRoute

from microdemo_core.problems import NotFound, Problem, ProblemDetails
from microdemo_core.swagger_ui import POLICY, SwaggerUI

__all__ = ("lift_security", "openapi_config", "problems")

PROBLEM_JSON: Final = "application/problem+json"

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_DEFAULT_RESPONSES: Final = {
    "Problem": "Any other error.",
    "Unreadable": "The body cannot be read as what its Content-Type says.",
    "Unauthenticated": "No valid token.",
    "Invalid": "Well-formed, but a field is wrong; `errors` names each.",
}


def openapi_config(*, title: str, version: str, description: str | None = None) -> OpenAPIConfig:
    """For ``Litestar(openapi_config=…)``: /schema (the page), /schema/openapi.json and the page's files, all public."""
    return _Config(
        title=title,
        version=version,
        description=description,
        servers=[Server(url="..", description="this service")],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="JWT",
                    description="The `access_token` that the users service's `POST /login` answers.",
                ),
            },
        ),
        security=[{"bearer": []}],
        use_handler_docstrings=True,
        render_plugins=[SwaggerUI(), JsonRenderPlugin()],
        openapi_router=Router(
            "/schema",
            route_handlers=[],
            opt={"public": True},
            after_request=_refuse_html_errors,
            include_in_schema=False,
            response_headers=[
                ResponseHeader(name="Content-Security-Policy", value=POLICY),
                ResponseHeader(name="X-Content-Type-Options", value="nosniff"),
                ResponseHeader(name="Referrer-Policy", value="no-referrer"),
            ],
        ),
    )


def problems(*kinds: type[Problem]) -> dict[int, ResponseSpec]:
    """Documents what a handler raises: ``@post(responses=problems(NotFound, InsufficientStock))``.

    A kind's docstring is its description. Kinds with the same status share one entry.
    """
    sentences: dict[int, list[str]] = {}
    for kind in kinds:
        sentences.setdefault(kind.status.value, []).append(kind.__dict__.get("__doc__") or f"{kind.status.phrase}.")
    return {
        status: ResponseSpec(
            ProblemDetails, generate_examples=False, description=" ".join(texts), media_type=PROBLEM_JSON
        )
        for status, texts in sentences.items()
    }


def lift_security(route: BaseRoute) -> None:
    """Takes the bearer requirement off handlers with ``public=True``; for a plugin's ``receive_route``."""
    if isinstance(route, HTTPRoute):
        for handler, _ in route.route_handler_map.values():
            if handler.opt.get("public"):
                # Litestar writes an empty list as no statement at all; `_Document` makes this one `[]`.
                handler.security = [{}]


async def _refuse_html_errors(response: Response[Any]) -> Response[Any]:
    """Litestar answers an unknown path below /schema with a page; a client of ours parses JSON."""
    if response.status_code == HTTPStatus.NOT_FOUND:
        raise NotFound("There is no such page.")
    return response


class _Config(OpenAPIConfig):
    """The only door Litestar leaves to the finished document: the class it is an instance of."""

    def to_openapi_schema(self) -> OpenAPI:
        document = super().to_openapi_schema()
        return _Document(**{field.name: getattr(document, field.name) for field in fields(document)})


@dataclass
class _Document(OpenAPI):
    def to_schema(self) -> dict[str, Any]:
        schema = super().to_schema()
        components = schema["components"]
        _, problem_schemas = msgspec.json.schema_components(
            [ProblemDetails], ref_template="#/components/schemas/{name}"
        )
        components["schemas"] = problem_schemas | components.get("schemas", {})
        components["responses"] = {
            name: {
                "description": description,
                "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
            }
            for name, description in _DEFAULT_RESPONSES.items()
        }
        for operation in _operations(schema):
            _add_errors(operation)
        return schema


def _operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in schema["paths"].values():
        for method in _METHODS:
            if method in path:
                yield path[method]


def _add_errors(operation: dict[str, Any]) -> None:
    """What the kernel answers for every operation; a handler's own ``responses`` stand."""
    responses = operation["responses"]
    unreadable = responses.get(str(HTTPStatus.BAD_REQUEST.value), {})
    if "application/json" in unreadable.get("content", {}):
        # Litestar's note that input is validated: the wrong shape, and for us the wrong status.
        del responses[str(HTTPStatus.BAD_REQUEST.value)]
    errors = {"default": "Problem"}
    if {} in operation.get("security", ()):
        operation["security"] = []
    else:
        errors["401"] = "Unauthenticated"
    if "requestBody" in operation:
        errors["400"] = "Unreadable"
    if "requestBody" in operation or "parameters" in operation:
        errors["422"] = "Invalid"
    for status, name in errors.items():
        responses.setdefault(status, {"$ref": f"#/components/responses/{name}"})
