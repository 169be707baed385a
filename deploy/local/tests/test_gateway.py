"""What the gateway promises, asked of the real nginx with the real configuration."""

import base64
import hashlib
import json
import re
import time
from pathlib import Path

import pytest

from microdemo_local.layout import SERVICES

from .conftest import ROOT, Answer, Gateway, Upstream, running_gateway

PROBLEM = "application/problem+json"


def assert_problem(answer: Answer, status: int) -> None:
    assert answer.status == status, answer.body
    assert answer.header("Content-Type") == [PROBLEM]
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert problem["status"] == status
    assert re.fullmatch(r"[A-Z].*\.", problem["detail"])


@pytest.mark.parametrize("service", SERVICES)
def test_the_prefix_is_stripped_and_the_query_kept(gateway: Gateway, upstream: Upstream, service: str) -> None:
    """A service sees the path behind its prefix."""
    assert gateway.ask(f"/{service}/a/b%20c?q=1&r=%2F").json()["path"] == "/a/b%20c?q=1&r=%2F"
    assert gateway.ask(f"/{service}/").json()["path"] == "/"
    assert [asked.header("X-Forwarded-Prefix") for asked in upstream.asked] == [[f"/{service}"]] * 2


@pytest.mark.parametrize("service", SERVICES)
def test_a_bare_prefix_redirects_without_naming_scheme_host_or_port(gateway: Gateway, service: str) -> None:
    """The client resolves the relative address against its own, port included."""
    answer = gateway.ask(f"/{service}?limit=2")
    assert (answer.status, answer.header("Location")) == (301, [f"/{service}/?limit=2"])


@pytest.mark.parametrize(
    "path",
    [
        *("/users/metrics", "/orders/metrics", "/inventory/metrics", "/users/readyz", "/orders/readyz/"),
        *("//users//metrics", "/users/./metrics", "/users/x/../metrics", "/users/x/%2e%2e/metrics"),
        *("/users/METRICS", "/users/Readyz", "/users/metrics.", "/users/metrics%20", "/users/metrics%0a"),
        *("/users/%6detrics", "/users%2Fmetrics", "/users/metrics?x=1", "/users/metrics/;", "/users/metrics/%2F"),
        *("/inventory/reservations", "/inventory/reservations/o-1/1", "/inventory//reservations/o-1/1"),
        *("/inventory/%72eservations/o-1/1", "/inventory%2freservations%2fo-1%2f1", "/inventory/Reservations/o-1/1"),
    ],
)
def test_internal_paths_are_not_there_from_outside(gateway: Gateway, upstream: Upstream, path: str) -> None:
    """However they are spelled, the service is not even asked."""
    for method in ("GET", "PUT", "DELETE"):
        assert_problem(gateway.ask(path, method), 404)
    assert upstream.asked == []


@pytest.mark.parametrize(
    "path", ["/orders/metrics-1", "/users/readyz2", "/inventory/by-sku/metrics", "/orders/reservations"]
)
def test_paths_that_only_look_internal_pass(gateway: Gateway, upstream: Upstream, path: str) -> None:
    """An order may be named nearly like a route."""
    assert gateway.ask(path).status == 200
    assert len(upstream.asked) == 1


@pytest.mark.parametrize("path", ["/users/%252e%252e/metrics", "/users/%252Fmetrics"])
def test_an_escape_is_undone_once(gateway: Gateway, upstream: Upstream, path: str) -> None:
    """What was escaped twice arrives escaped, and so names no route."""
    gateway.ask(path)
    (asked,) = upstream.asked
    assert "%25" in asked.path


def test_forwarding_headers_cannot_be_forged(gateway: Gateway, upstream: Upstream) -> None:
    """What the client says about who asks is dropped, like the budget that services tell each other."""
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "1",
        "X-Forwarded-Prefix": "/evil",
        "X-Real-IP": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "X-Request-Budget-Ms": "999999",
        "Authorization": "Bearer x",
    }
    gateway.ask("/users/me", headers=forged)
    (asked,) = upstream.asked
    host = f"127.0.0.1:{gateway.port}"
    assert asked.header("X-Forwarded-For") == asked.header("X-Real-IP") == ["127.0.0.1"]
    assert asked.header("X-Forwarded-Proto") == ["http"]
    assert asked.header("X-Forwarded-Host") == asked.header("Host") == [host]
    assert asked.header("Forwarded") == [f'for=127.0.0.1;host="{host}";proto=http']
    assert asked.header("X-Forwarded-Prefix") == ["/users"]
    assert asked.header("X-Forwarded-Port") == asked.header("X-Request-Budget-Ms") == []
    assert asked.header("Authorization") == ["Bearer x"]


@pytest.mark.parametrize(
    ("given", "kept"), [("a.B-c_9", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ('a"b', False)]
)
def test_a_request_id_is_kept_or_made_and_answered_once(
    gateway: Gateway, upstream: Upstream, given: str, *, kept: bool
) -> None:
    """The same ID reaches the service and the client, also if the service echoes it."""
    upstream.answers["/echo"] = (200, {"X-Request-ID": "the service's"}, b"")
    (answered,) = gateway.ask("/users/echo", headers={"X-Request-ID": given}).header("X-Request-ID")
    assert upstream.asked[0].header("X-Request-ID") == [answered]
    assert (answered == given) is kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answered)


@pytest.mark.parametrize("path", ["/nothing", "/USERS/", "/.problem", "/index.html", "/app/"])
def test_an_unknown_path_is_a_problem(gateway: Gateway, path: str) -> None:
    """Its instance is the path without the query, which may hold secrets."""
    answer = gateway.ask(f"{path}?token=secret")
    assert_problem(answer, 404)
    assert answer.json()["instance"] == path
    assert answer.header("Cache-Control") == ["no-store"]


def test_nginx_own_errors_are_problems(gateway: Gateway, upstream: Upstream) -> None:
    """Also those it finds before it knows what is asked for."""
    assert_problem(gateway.ask("/users/" + "a" * 9000), 414)
    assert_problem(gateway.ask("/users/", headers={"X-Large": "a" * 9000}), 431)
    assert_problem(gateway.ask("/users/", headers={"Host": 'a"b'}), 400)
    assert_problem(gateway.ask("/users/%00"), 400)
    assert_problem(gateway.ask("/", "POST", body=b""), 405)
    assert_problem(gateway.ask("/users/", "TRACE"), 405)
    assert_problem(gateway.ask('/"\\<&'), 404)
    assert_problem(gateway.ask("/", headers={"If-Match": '"another"'}), 412)
    assert upstream.asked == []


def test_a_service_that_is_away_is_a_502_with_retry_after(tmp_path: Path) -> None:
    """One second is what a restart takes."""
    with running_gateway(tmp_path, {service: ["127.0.0.1:1"] for service in SERVICES}) as gateway:
        answer = gateway.ask("/users/me")
        assert_problem(answer, 502)
        assert answer.header("Retry-After") == ["1"]


def test_a_services_own_errors_pass_unchanged(gateway: Gateway, upstream: Upstream) -> None:
    """Body, type and Retry-After are the service's."""
    body = b'{"type":"x","detail":"Sold out."}'
    for status in (400, 401, 404, 409, 413, 422, 429, 500, 502, 503, 504):
        upstream.answers["/it"] = (status, {"Content-Type": PROBLEM, "Retry-After": "7"}, body)
        answer = gateway.ask("/orders/it")
        assert (answer.status, answer.body) == (status, body)
        assert answer.header("Content-Type") == [PROBLEM]
        assert answer.header("Retry-After") == ["7"]


def test_bodies_are_limited_to_a_megabyte_and_imports_to_21(gateway: Gateway, upstream: Upstream) -> None:
    """More is a 413 problem; a file of 20 MB with what multipart puts around it is not."""
    megabyte = b"x" * 1024 * 1024
    assert gateway.ask("/users/", "POST", body=megabyte).status == 200
    assert_problem(gateway.ask("/users/", "POST", body=megabyte + b"x"), 413)
    assert gateway.ask("/users/import/csv", "POST", body=megabyte * 21).json()["bytes"] == 21 * len(megabyte)
    assert_problem(gateway.ask("/users/import/csv", "POST", body=megabyte * 21 + b"x"), 413)
    assert [asked.path for asked in upstream.asked] == ["/", "/import/csv"]


def test_csv_keeps_its_query(gateway: Gateway) -> None:
    """The dry run, for one."""
    assert gateway.ask("/orders/import/csv?dry_run=true", "POST", body=b"").json()["path"] == "/import/csv?dry_run=true"
    assert gateway.ask("/inventory/export/csv").json()["path"] == "/export/csv"


def test_an_import_says_that_its_connection_ends(gateway: Gateway) -> None:
    """A file refused before it has arrived leaves a connection that nobody can use: clients must not try."""
    for path, told in (("/users/import/csv", "close"), ("/users/import/csv/", "close"), ("/users/", "keep-alive")):
        assert gateway.ask(path, "POST", body=b"{}").header("Connection") == [told]


@pytest.mark.parametrize(
    ("kind", "size", "compressed"),
    [
        ("application/json", 2000, True),
        ("application/problem+json", 2000, True),
        ("text/csv; charset=utf-8", 2000, True),
        ("application/json", 1000, False),
        ("text/event-stream", 2000, False),
        ("application/octet-stream", 2000, False),
    ],
)
def test_text_is_compressed_from_a_kilobyte_on(
    gateway: Gateway, upstream: Upstream, kind: str, size: int, *, compressed: bool
) -> None:
    """But no event stream, whose events have to leave at once."""
    upstream.answers["/it"] = (200, {"Content-Type": kind}, b"x" * size)
    answer = gateway.ask("/users/it", headers={"Accept-Encoding": "gzip"})
    assert (answer.header("Content-Encoding") == ["gzip"]) is compressed


def test_security_headers_are_there_once_also_if_the_service_sends_its_own(
    gateway: Gateway, upstream: Upstream
) -> None:
    """The gateway's stand for everything but the policy, which a page of the service's may bring."""
    sent = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "SAMEORIGIN", "Referrer-Policy": "origin"}
    upstream.answers["/own"] = (200, sent | {"Content-Security-Policy": "script-src 'self'"}, b"")
    for path in ("/users/own", "/users/", "/nothing", "/"):
        answer = gateway.ask(path)
        assert answer.header("X-Content-Type-Options") == ["nosniff"]
        assert answer.header("X-Frame-Options") == ["DENY"]
        assert answer.header("Referrer-Policy") == ["no-referrer"]
        assert answer.header("Strict-Transport-Security") == []
        assert len(answer.header("Content-Security-Policy")) == 1
    assert gateway.ask("/users/own").header("Content-Security-Policy") == ["script-src 'self'"]
    assert gateway.ask("/users/").header("Content-Security-Policy")[0].startswith("default-src 'none';")


def test_an_edge_that_is_trusted_tells_client_and_scheme(tmp_path: Path, upstream: Upstream) -> None:
    """Then, over https, browsers are told to stay with it."""
    servers = {service: [upstream.address] for service in SERVICES}
    files = {"trusted-edge.conf": "127.0.0.0/8 1;\n", "extra-edge.conf": "set_real_ip_from 127.0.0.0/8;\n"}
    with running_gateway(tmp_path, servers, files) as gateway:
        answer = gateway.ask("/users/", headers={"X-Forwarded-For": "2001:db8::7", "X-Forwarded-Proto": "https"})
        assert answer.header("Strict-Transport-Security") == ["max-age=31536000"]
        (asked,) = upstream.asked
        assert asked.header("X-Forwarded-For") == ["2001:db8::7"]
        assert asked.header("X-Forwarded-Proto") == ["https"]
        assert asked.header("Forwarded")[0].startswith('for="[2001:db8::7]";')


def test_the_front_page_links_the_three_interfaces(gateway: Gateway) -> None:
    """And its policy allows its one style sheet, by its hash."""
    answer = gateway.ask("/")
    page = answer.body.decode()
    assert answer.status == 200
    assert re.findall(r'href="(/[^"]*)"', page) == ["/users/schema", "/orders/schema", "/inventory/schema"]
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.header("Content-Security-Policy")[0]


def test_the_gateway_tells_that_it_lives(gateway: Gateway, upstream: Upstream) -> None:
    """Without asking a service."""
    answer = gateway.ask("/healthz")
    assert (answer.status, answer.body) == (200, b'{"status":"healthy"}')
    assert upstream.asked == []


def test_the_log_is_json_without_secrets(gateway: Gateway) -> None:
    """Neither the query nor a header is in it."""
    gateway.ask("/users/logged%22?token=hush", headers={"Authorization": "Bearer hush", "X-Request-ID": "logged"})
    lines: list[str] = []
    for _ in range(200):  # nginx writes once a second
        lines = [line for line in gateway.log.read_text().splitlines() if '"logged"' in line]
        if lines:
            break
        time.sleep(0.05)
    (line,) = lines
    assert "hush" not in line
    entry = json.loads(line)
    assert (entry["path"], entry["status"], entry["correlation_id"]) == ("/users/logged%22", 200, "logged")


def test_connections_to_a_service_are_kept(gateway: Gateway, upstream: Upstream) -> None:
    """Forty requests take at most one connection per worker of nginx."""
    before = upstream.connections
    for _ in range(40):
        gateway.ask("/users/")
    assert upstream.connections - before <= 4


def test_an_instance_that_is_gone_costs_no_request(tmp_path: Path, upstream: Upstream) -> None:
    """Refused connections move on to the next instance, whatever the method, and the instance stays in the round."""
    pair = ["127.0.0.1:1", upstream.address]
    with running_gateway(tmp_path, dict.fromkeys(SERVICES, pair)) as gateway:
        methods = ["GET", "POST", "PUT", "DELETE"] * 5
        assert [gateway.ask("/orders/o-1", method, body=b"{}").status for method in methods] == [200] * 20


def test_only_what_may_be_repeated_is_repeated(tmp_path: Path, upstream: Upstream) -> None:
    """When an instance takes a request and drops the connection, a GET is asked again elsewhere, a POST never."""
    pair = [upstream.address] * 2
    with running_gateway(tmp_path, dict.fromkeys(SERVICES, pair)) as gateway:
        assert_problem(gateway.ask("/orders/drop", "POST", body=b"{}"), 502)
        assert len(upstream.asked) == 1
        gateway.ask("/orders/drop")
        assert [asked.method for asked in upstream.asked] == ["POST", "GET", "GET"]


def test_a_location_gets_the_prefix_that_the_service_does_not_know(gateway: Gateway, upstream: Upstream) -> None:
    """One that has it keeps it."""
    for told in ("/o-1", "/orders/o-1"):
        upstream.answers["/new"] = (201, {"Location": told}, b"")
        assert gateway.ask("/orders/new", "POST", body=b"").header("Location") == ["/orders/o-1"]


def test_one_configuration_file_serves_every_place() -> None:
    """No address and no absolute path stands in it, except the log's, which the container's runtime reads."""
    text = (ROOT / "deploy" / "gateway" / "nginx.conf").read_text()
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", code)
    assert re.findall(r"\s(/(?:etc|var|tmp|run|usr|dev)/\S*)", code) == ["/dev/stdout"]
