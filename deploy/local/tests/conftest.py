"""A gateway in front of an upstream that remembers what it was asked."""

import http.client
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import msgspec
import pytest

from microdemo_core.testing.servers import free_port
from microdemo_local.gateway import included_files, nginx_command, write_folder
from microdemo_local.layout import SERVICES, Layout

ROOT = Path(__file__).resolve().parents[3]


class Answer(msgspec.Struct):
    """`headers` keeps repetitions."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Asked(msgspec.Struct):
    """A request as the upstream saw it."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Upstream(ThreadingHTTPServer):
    """Answers what `answers` holds for a path, else 200 and an echo; a path /drop closes without an answer."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.connections = 0
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[int] = 60
    server: Upstream

    def answer(self) -> None:
        body = self._body()
        self.server.asked.append(Asked(self.command, self.path, list(self.headers.items()), body))
        path = self.path.partition("?")[0]
        if path == "/drop":
            self.close_connection = True
            return
        echo = json.dumps({"path": self.path, "bytes": len(body)}).encode()
        default = (200, {"Content-Type": "application/json"}, echo)
        status, headers, content = self.server.answers.get(path, default)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 -- the names are http.server's

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is http.server's
        """Says nothing."""


class Gateway(msgspec.Struct):
    """A running nginx."""

    port: int
    log: Path

    def ask(
        self, path: str, method: str = "GET", *, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Sends `path` as it is, whatever it holds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host="Host" in (headers or {}), skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            if body is not None:
                # It may be refused before it is all sent; the answer waits.
                with suppress(BrokenPipeError, ConnectionResetError):
                    connection.send(body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()


@contextmanager
def running_gateway(
    home: Path, servers: dict[str, list[str]], files: dict[str, str] | None = None
) -> Iterator[Gateway]:
    """The real nginx with the real configuration; `files` are further ones beside it."""
    layout = Layout(root=ROOT, home=home, commands=home)
    layout.make()
    port = free_port()
    write_folder(layout, included_files(f"127.0.0.1:{port}", servers) | (files or {}))
    log = layout.log("gateway")
    with log.open("wb") as output:
        nginx = subprocess.Popen(  # noqa: S603 -- the command is made here
            nginx_command(layout.gateway), stdout=output, stderr=subprocess.STDOUT
        )
    gateway = Gateway(port, log)
    try:
        while True:
            try:
                gateway.ask("/healthz")
                break
            except ConnectionRefusedError:
                assert nginx.poll() is None, log.read_text()
        yield gateway
    finally:
        nginx.send_signal(signal.SIGTERM)
        nginx.wait(30)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A temporary folder that root's PostgreSQL reaches: any other run of pytest shuts ``tmp_path`` to it."""
    with TemporaryDirectory(prefix="microdemo-test-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder).resolve()


@pytest.fixture(scope="module")
def running_upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def upstream(running_upstream: Upstream) -> Upstream:
    running_upstream.asked.clear()
    running_upstream.answers.clear()
    return running_upstream


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, running_upstream: Upstream) -> Iterator[Gateway]:
    servers = {service: [running_upstream.address] for service in SERVICES}
    with running_gateway(tmp_path_factory.mktemp("gateway"), servers) as gateway:
        yield gateway
