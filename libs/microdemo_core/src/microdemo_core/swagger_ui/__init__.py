"""The page at /schema: Swagger UI from our own files, with every URL relative and no inline script or style.

Litestar's own SwaggerRenderPlugin writes its script into the page, links a favicon on a CDN and names the document by
an absolute path, which is wrong behind a gateway that strips a prefix.
"""

import gzip
import hashlib
import html
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from string import Template
from typing import Any, Final

import msgspec
from litestar import MediaType, Request, Response, Router, get
from litestar.datastructures import CacheControlHeader, ResponseHeader
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.params import FromPath

from microdemo_core.problems import NotFound

__all__ = ("POLICY", "SwaggerUI")

# img-src data: is for the arrows and crosses in Swagger UI's style sheet.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy. A proxy must not add another: a browser applies both."""

_FILES = ("page.css", "swagger-ui.css.gz", "swagger-ui-bundle.js.gz", "init.js")
_TYPES = {".css": "text/css", ".js": "text/javascript"}
_FOREVER = CacheControlHeader(public=True, max_age=365 * 24 * 3600, immutable=True)


class _Asset(msgspec.Struct, frozen=True):
    name: str
    """The file's name with a hash of its content in it, so that it may be cached for ever."""
    media_type: str
    gzipped: bytes


@cache
def _read_assets() -> dict[str, _Asset]:
    """The page's files by their plain name, 485 kB in memory; 1.9 MB unpacked."""
    assets = {}
    for file in _FILES:
        content = (files(__name__) / file).read_bytes()
        path = PurePath(file.removesuffix(".gz"))
        assets[path.name] = _Asset(
            name=f"{path.stem}.{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}",
            media_type=_TYPES[path.suffix],
            gzipped=content if file.endswith(".gz") else gzip.compress(content, mtime=0),
        )
    return assets


class SwaggerUI(OpenAPIRenderPlugin):
    """Renders the page, and serves its files below it at ``assets/``."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)
        self._assets = _read_assets()
        self._template = Template((files(__name__) / "page.html").read_text("utf-8"))

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Names everything relative to the browser's URL, which may end in ``/schema`` or ``/schema/``."""
        path = request.scope["raw_path"].partition(b"?")[0].decode("latin-1")
        here = "" if path.endswith("/") else f"{path.rpartition('/')[2]}/"
        names = {
            plain.replace(".", "_").replace("-", "_"): f"{here}assets/{asset.name}"
            for plain, asset in self._assets.items()
        }
        title = html.escape(openapi_schema["info"]["title"])
        return self._template.substitute(names, title=title, document=f"{here}openapi.json").encode()

    def receive_router(self, router: Router) -> None:
        served = {asset.name: asset for asset in self._assets.values()}

        @get(
            "/assets/{name:str}",
            sync_to_thread=False,
            cache_control=_FOREVER,
            response_headers=[ResponseHeader(name="Vary", value="Accept-Encoding")],
        )
        def asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
            try:
                found = served[name]
            except KeyError:
                raise NotFound("There is no such file.") from None
            if "gzip" in request.headers.get("accept-encoding", ""):
                return Response(found.gzipped, media_type=found.media_type, headers={"Content-Encoding": "gzip"})
            return Response(gzip.decompress(found.gzipped), media_type=found.media_type)

        router.register(asset)
