"""Log lines: JSON, correlated, and free of secrets."""

import io
import logging
from collections.abc import Iterator
from contextlib import redirect_stdout

import msgspec
import pytest
import structlog

from microdemo_core.correlation import correlation_id
from microdemo_core.logs import configure_logging, redact

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    text = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    with redirect_stdout(text):
        configure_logging("shop", "INFO")
        yield text
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("event", "hidden"),
    [
        ({"password": "hunter22"}, "hunter22"),
        ({"headers": {"Authorization": "Basic abc"}}, "abc"),
        ({"text": f"refused {TOKEN} from 1.2.3.4"}, TOKEN),
        ({"text": "header was 'Bearer abc.def-123='"}, "abc.def-123"),
        ({"text": "connect to postgresql://users:hunter2@db:5432/x"}, "hunter2"),
        ({"text": "row $argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"}, "aGFzaA"),
        ({"items": [{"refresh_token": "abc123"}]}, "abc123"),
        ({"text": "duplicate key\nDETAIL:  Key (email)=(bob@example.com) already exists."}, "bob@"),
        ({"text": "(UndefinedTable) no\n[SQL: SELECT 1\nFROM vault]\n(Background: x)"}, "vault"),
        ({"text": "invalid input for query argument $1: 'hunter2' (not an int)"}, "hunter2"),
    ],
)
def test_secrets_are_hidden_wherever_they_stand(event: dict[str, object], hidden: str) -> None:
    """By the name of a field, or by the look of a text."""
    assert hidden not in str(redact(None, "info", dict(event)))


def test_a_plain_event_is_left_alone() -> None:
    """Redaction touches nothing else."""
    event = {"event": "request", "path": "/users/12", "status": 200, "token_id": "ab12"}
    assert redact(None, "info", dict(event)) == event


def test_both_loggers_speak_json_with_the_correlation_id(output: io.StringIO) -> None:
    """Structlog's lines and the standard library's look the same."""
    reset = correlation_id.set("req-1")
    structlog.get_logger().info("hello", answer=42)
    logging.getLogger("some.library").warning("token %s", TOKEN)
    correlation_id.reset(reset)
    lines = [msgspec.json.decode(line) for line in output.getvalue().splitlines()]
    assert [line["correlation_id"] for line in lines] == ["req-1", "req-1"]
    assert [line["service"] for line in lines] == ["shop", "shop"]
    assert lines[0]["answer"] == 42
    assert TOKEN not in output.getvalue()


def test_a_traceback_shows_no_values(output: io.StringIO) -> None:
    """Where it went wrong is logged, what the variables held is not."""

    def fail(password: str) -> None:
        raise ValueError(f"cannot use {len(password)} characters")

    try:
        fail("correct horse battery")
    except ValueError:
        structlog.get_logger().exception("failed")
    line = msgspec.json.decode(output.getvalue())
    assert line["exception"][0]["frames"][-1]["name"] == "fail"
    assert "correct horse battery" not in output.getvalue()
