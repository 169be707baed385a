"""What wraps every request, routed or not: correlation ID, access log line, metrics."""

import time
from typing import Final

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import Counter, Gauge, Histogram

from microdemo_core import correlation

__all__ = ("RequestEdge",)

_log = structlog.get_logger("microdemo.request")

_REQUESTS: Final = Counter("http_requests_total", "Requests answered.", ["method", "route", "status"])
_SECONDS: Final = Histogram("http_request_duration_seconds", "Time until the answer was sent.", ["method", "route"])
_OPEN: Final = Gauge("http_requests_in_progress", "Requests being worked on.")

_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestEdge:
    """Outermost ASGI application.

    Litestar's middleware does not see requests that match no route, and its metrics and logging middlewares
    read the clock each for itself; this one pass does both for every request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = correlation.accept(_header(scope, b"x-request-id"))
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        reset = correlation.correlation_id.set(request_id)
        _OPEN.inc()
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            _OPEN.dec()
            self._record(scope, status, time.perf_counter() - started)
            correlation.correlation_id.reset(reset)

    def _record(self, scope: HTTPScope, status: int, seconds: float) -> None:
        # The template, not the path: a metric's labels must not grow with the data.
        route = str(scope.get("path_template") or "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        _REQUESTS.labels(method, route, status).inc()
        _SECONDS.labels(method, route).observe(seconds)
        if scope["path"] in _QUIET:
            return
        user = scope.get("user")
        _log.info(
            "request",
            method=method,
            path=scope["path"],
            route=route,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            user_id=getattr(user, "user_id", None),
        )


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)
