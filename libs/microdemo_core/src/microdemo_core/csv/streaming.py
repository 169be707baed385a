"""A streamed answer that owns its source: read, sent and closed in the request's own task.

Litestar's Stream reads in a child task and leaves closing to the garbage collector. A client that goes away would
keep a connection of the pool until then; and what the source put into context variables in one task could not be
taken back in another.
"""

from collections.abc import AsyncGenerator, Iterable
from typing import Any

from anyio import CancelScope, create_task_group
from anyio.lowlevel import checkpoint
from litestar import Litestar, Request
from litestar.background_tasks import BackgroundTask, BackgroundTasks
from litestar.datastructures import Cookie
from litestar.enums import MediaType
from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Scope, Send

__all__ = ("OwnedStream",)


class OwnedStream(Stream):
    """The first chunk is made before the status is sent, so its errors are ordinary ones."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], *, media_type: str, headers: dict[str, str]) -> None:
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._chunks = chunks

    def to_asgi_response(  # noqa: PLR0913 - Litestar's signature
        self,
        app: Litestar | None,  # noqa: ARG002
        request: Request[Any, Any, Any],  # noqa: ARG002
        *,
        background: BackgroundTask | BackgroundTasks | None = None,
        cookies: Iterable[Cookie] | None = None,
        encoded_headers: Iterable[tuple[bytes, bytes]] | None = None,
        headers: dict[str, str] | None = None,
        is_head_response: bool = False,
        media_type: MediaType | str | None = None,
        status_code: int | None = None,
        type_encoders: Any = None,  # noqa: ARG002 - Litestar's alias for its type is no type at run time
    ) -> ASGIResponse:
        return _Answer(
            self._chunks,
            iterator=self._chunks,
            background=self.background or background,
            cookies=[*self.cookies, *(cookies or ())],
            encoded_headers=encoded_headers,
            headers={**(headers or {}), **self.headers},
            is_head_response=is_head_response,
            media_type=self.media_type or media_type,
            status_code=self.status_code or status_code,
        )


class _Answer(ASGIStreamingResponse):
    def __init__(self, chunks: AsyncGenerator[bytes, None], **parts: Any) -> None:
        super().__init__(**parts)
        self._chunks = chunks
        self._first = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if not self.is_head_response:
                self._first = await anext(self._chunks, b"")
            await super().__call__(scope, receive, send)
        finally:
            # A cancelled request must still give back what the source holds.
            with CancelScope(shield=True):
                await self._chunks.aclose()

    async def send_body(self, send: Send, receive: Receive) -> None:
        async def stop_when_client_leaves() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        async with create_task_group() as group:
            group.start_soon(stop_when_client_leaves)
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
            async for chunk in self._chunks:
                # Neither a source with its rows at hand nor a send to a client that left would let others run.
                await checkpoint()
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            group.cancel_scope.cancel()
