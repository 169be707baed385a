"""Bringing a stack up and down with real servers and nginx; three little programs stand where the services go."""

import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

from microdemo_core.testing.servers import free_port
from microdemo_local.errors import LocalError
from microdemo_local.keeper import Keeper
from microdemo_local.layout import SERVICES, Layout
from microdemo_local.logs import tail
from microdemo_local.options import Options
from microdemo_local.progress import Progress
from microdemo_local.stack import Stack
from microdemo_local.state import State
from microdemo_local.status import statuses
from microdemo_local.up import bring_up, take_down

ROOT = Path(__file__).resolve().parents[3]

SERVICE = """\
import http.server, os, pathlib, sys
if pathlib.Path(__file__).with_name(pathlib.Path(__file__).name + "-broken").exists():
    sys.exit("cannot go on")
if sys.argv[1] == "migrate":
    sys.exit()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture
def layout(open_path: Path) -> Iterator[Layout]:
    """With commands of its own; stopped in the end, whatever happened."""
    layout = Layout(root=ROOT, home=open_path / "home", commands=open_path / "commands")
    layout.commands.mkdir()
    for name in SERVICES:
        write_command(layout, name, f"#!{sys.executable}\n{SERVICE}")
    write_command(layout, "microdemo-demo", "#!/bin/sh\necho seeded\n")
    yield layout
    if layout.home.exists():
        take_down(layout)
    assert at_work(layout) == []


def write_command(layout: Layout, name: str, text: str) -> None:
    path = layout.commands / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def given(server_urls: tuple[str, str]) -> Options:
    """The test run's servers in place of a home's own: what they hold does not matter here."""
    postgres, valkey = server_urls
    return Options(port=free_port(), database_urls=dict.fromkeys(SERVICES, postgres), redis_url=valkey)


def up(layout: Layout, options: Options) -> Stack:
    return bring_up(layout, options, Progress(StringIO()))


def at_work(layout: Layout) -> list[int]:
    """The processes that work in the home."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(layout.home):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def pids(stack: Stack) -> dict[str, int]:
    return {part.name: part.pid for part in statuses(stack)}


def test_up_is_idempotent_and_mends_what_died(layout: Layout) -> None:
    """A second `up` starts nothing anew; what died is started; after a killed supervisord nobody stays behind."""
    options = Options(port=free_port())
    stack = up(layout, options)
    first = pids(stack)
    assert set(first) == {"postgres", "valkey", "users-1", "orders-1", "inventory-1", "gateway", "supervisord"}
    assert pids(up(layout, options)) == first

    os.kill(first["users-1"], signal.SIGKILL)
    mended = pids(up(layout, options))
    assert {part for part in first if mended[part] != first[part]} == {"users-1"}

    os.kill(mended["supervisord"], signal.SIGKILL)
    assert len(at_work(layout)) > 1
    renewed = pids(up(layout, options))
    assert not set(at_work(layout)) & set(mended.values())
    assert renewed.keys() == first.keys()

    take_down(layout)
    assert at_work(layout) == []
    assert (layout.postgres / "PG_VERSION").exists()


def test_servers_of_ones_own_are_used_and_not_started(layout: Layout, given: Options) -> None:
    """Neither PostgreSQL nor Valkey is among the parts."""
    assert set(pids(up(layout, given))) == {"users-1", "orders-1", "inventory-1", "gateway", "supervisord"}
    assert not layout.postgres.exists()


def test_a_part_that_ends_at_its_start_is_named_and_nothing_is_left(layout: Layout, given: Options) -> None:
    """Its log tells why."""
    dies = "import sys\nsys.argv[1] == 'migrate' or sys.exit('cannot go on')\n"
    write_command(layout, "orders", f"#!{sys.executable}\n{dies}")
    with pytest.raises(LocalError, match=r"^orders ended right after its start\.$") as raised:
        up(layout, given)
    assert raised.value.log
    assert tail(raised.value.log, 1) == ["cannot go on"]
    assert at_work(layout) == []


def test_a_migration_that_fails_is_named_and_nothing_is_left(layout: Layout, given: Options) -> None:
    """No service starts on an old schema."""
    (layout.commands / "inventory-broken").touch()
    with pytest.raises(LocalError, match=r"^`inventory migrate` failed\.$") as raised:
        up(layout, given)
    assert raised.value.log
    assert tail(raised.value.log, 1) == ["cannot go on"]
    assert at_work(layout) == []


def test_a_port_in_use_is_told_with_its_holder(layout: Layout, given: Options) -> None:
    """Before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(LocalError, match=rf"^Port {port} is in use.*: name another with PORT=\.$"):
            up(layout, msgspec.structs.replace(given, port=port))
    assert at_work(layout) == []


def test_demo_data_is_loaded_at_the_first_start_alone(layout: Layout, given: Options) -> None:
    """What a user changed since is not put back."""
    write_command(layout, "microdemo-demo", f"#!/bin/sh\necho x >> '{layout.commands}/seeded'\n")
    up(layout, given)
    take_down(layout)
    up(layout, given)
    assert (layout.commands / "seeded").read_text() == "x\n"
    assert len(State.load(layout).seeded) == 1
    assert Keeper(layout).is_running()
