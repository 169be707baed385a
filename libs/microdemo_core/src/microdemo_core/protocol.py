"""uvicorn's HTTP/1.1, whose own answer is a problem document too.

Some of what nginx lets through httptools refuses, before any application is asked: a method it has never heard of, a
control character in a header, a byte beyond ASCII in the address, as curl sends an umlaut.
"""

from http import HTTPStatus
from typing import Final

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from microdemo_core.problems import ProblemDetails

__all__ = ("ProblemProtocol",)

_STATUS: Final = HTTPStatus.BAD_REQUEST
# Nothing of the request can be quoted: it was not understood.
_BODY: Final = msgspec.json.encode(
    ProblemDetails("about:blank", _STATUS.phrase, _STATUS, "The request could not be read.", "/")
)


class ProblemProtocol(HttpToolsProtocol):
    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words, which it has logged
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
        )
        self.transport.close()
