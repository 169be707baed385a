"""What is written for the parts, and the sentences for what cannot be."""

import stat
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from microdemo_core.testing.servers import ServerError, free_port, postgres_bin, valkey_binary
from microdemo_local.checks import check_disk
from microdemo_local.errors import LocalError
from microdemo_local.gateway import nginx_binary, write_gateway
from microdemo_local.keeper_config import keeper_config
from microdemo_local.layout import SERVICES, Layout
from microdemo_local.options import Options
from microdemo_local.parts import Part
from microdemo_local.stack import Stack
from microdemo_local.state import Secrets, State

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(root=ROOT, home=tmp_path / "home", commands=tmp_path)
    layout.make()
    return layout


def stack_of(layout: Layout, options: Options | None = None, replicas: int = 1) -> Stack:
    state = State(port=8123, replicas=replicas)
    return Stack(layout=layout, options=options or Options(), state=state, secrets=Secrets.load(layout))


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "0"), ("PORT", "65536"), ("PORT", "eighty"), ("REPLICAS", "0"), ("REPLICAS", "-1")]
)
def test_a_wrong_number_is_told_with_its_range(name: str, value: str) -> None:
    """One sentence that names the variable and what it holds."""
    with pytest.raises(LocalError, match=rf"^{name} must be a whole number from 1 to \d+, and is '{value}'\.$"):
        Options.of_environment({name: value})


def test_an_empty_variable_asks_for_nothing() -> None:
    """A make variable that was not given arrives empty."""
    names = ("PORT", "REPLICAS", "USERS_DATABASE_URL", "REDIS_URL", "LOG_LEVEL")
    assert Options.of_environment(dict.fromkeys(names, "")) == Options()


@pytest.mark.parametrize(
    "url", ["postgresql://u:'@h/db", 'postgresql://u:"@h/db', "postgresql://u:\\@h/db", "a b", "a\nb"]
)
def test_a_url_that_no_file_could_hold_is_refused(url: str) -> None:
    """Three formats with different quoting would have to agree on it."""
    with pytest.raises(LocalError, match="percent-encode"):
        Options.of_environment({"USERS_DATABASE_URL": url})


@pytest.mark.parametrize("home", ["/tmp/100%", "/tmp/a;b", "/tmp/a#b", "/tmp/it's"])  # noqa: S108 -- nothing is written
def test_a_home_that_no_file_could_hold_is_refused(home: str) -> None:
    """It stands in the same files."""
    with pytest.raises(LocalError, match="letters, digits"):
        Layout.of_checkout({"MICRODEMO_HOME": home})


def test_binaries_that_do_not_run_are_told_by_their_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever named them knows where to look."""
    for name in ("POSTGRES_BIN", "REDIS_SERVER", "NGINX"):
        monkeypatch.setenv(name, "/nowhere")
    for find in (postgres_bin, valkey_binary, nginx_binary):
        with pytest.raises(
            (ServerError, LocalError), match=r"^/nowhere\S* cannot be run: No such file or directory\.$"
        ):
            find()


@pytest.mark.parametrize(
    ("variable", "name", "told"),
    [("POSTGRES_BIN", "postgres", "postgres (PostgreSQL) 14.2"), ("REDIS_SERVER", "server", "Redis server v=6.2.1")],
)
def test_binaries_that_are_too_old_are_told_with_both_versions(
    open_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, name: str, told: str
) -> None:
    """PostgreSQL 15 and Redis 7 are what the cluster runs."""
    binary = open_path / name
    binary.write_text(f"#!/bin/sh\necho '{told}'\n")
    binary.chmod(0o755)
    monkeypatch.setenv(variable, str(open_path if name == "postgres" else binary))
    with pytest.raises(ServerError, match=r"(15 or later is needed.* has 14|7 or later is needed.* is 6)\.$"):
        postgres_bin() if name == "postgres" else valkey_binary()


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the folder does not exist yet."""
    monkeypatch.setattr("microdemo_local.checks._LEAST_FREE_MEGABYTES", 10**12)
    with pytest.raises(LocalError, match=r"is full: \d+ MB are free"):
        check_disk(tmp_path / "a" / "b")


def test_supervisord_reads_what_was_written(layout: Layout) -> None:
    """Spaces and percent signs in a command or a value included."""
    part = Part(
        name="users-1",
        title="users",
        address="",
        stage=1,
        command=["/bin/with space", "--at=100%", "it's"],
        environment={"DATABASE_URL": "postgresql://u:p%40s@h:1/db?a=b&c=d", "EMPTY": ""},
        why_not_ready=lambda: None,
    )
    config = layout.run / "supervisord.conf"
    config.write_text(keeper_config(layout, layout.run / "s.sock", [part]))
    options = ServerOptions()
    options.realize(["-c", str(config), "-n"])
    (program,) = options.process_group_configs[0].process_configs
    assert program.environment == part.environment
    assert program.command == "'/bin/with space' --at=100% 'it'\"'\"'s'"
    assert program.stdout_logfile == str(layout.log("users-1"))


def test_each_service_is_told_its_own_database_and_redis_number(layout: Layout) -> None:
    """Orders alone is told where the others are."""
    stack = stack_of(layout)
    told = {service: stack.environment(service) for service in SERVICES}
    for number, service in enumerate(SERVICES):
        assert told[service]["DATABASE_URL"].startswith(f"postgresql://{service}:")
        assert told[service]["DATABASE_URL"].endswith(f"/{service}db")
        assert told[service]["REDIS_URL"].endswith(f"/{number}")
        assert told[service]["ENVIRONMENT"] == "local"
    assert told["orders"]["USERS_URL"] == f"http://127.0.0.1:{stack.state.port_of('users-1')}"
    assert "USERS_URL" not in told["users"]


def test_servers_of_ones_own_stand_in_for_ours(layout: Layout) -> None:
    """A database of one's own is not among those that are made."""
    url = "postgresql+asyncpg://me:secret@db.example/users"
    stack = stack_of(layout, Options(database_urls={"users": url}, redis_url="redis://cache.example:6379"))
    assert stack.environment("users")["DATABASE_URL"] == url
    assert stack.environment("inventory")["REDIS_URL"] == "redis://cache.example:6379/2"
    assert stack.own_databases == ("orders", "inventory")
    assert stack.databases != stack_of(layout).databases
    assert "secret" not in stack.databases


def test_secrets_are_for_the_owner_alone(layout: Layout) -> None:
    """Everything that holds one is closed to other users."""
    stack = stack_of(layout)
    stack.write_environments()
    files = [layout.home / "secrets.json", *layout.env.iterdir()]
    assert len(files) == 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert Secrets.load(layout) == stack.secrets


def test_several_replicas_share_one_address_for_the_other_services(layout: Layout) -> None:
    """As a cluster's Service does; each instance stays reachable on its own."""
    stack = stack_of(layout, replicas=2)
    write_gateway(stack)
    assert (layout.gateway / "users.servers").read_text().count("max_fails=0;") == 2
    front = f"127.0.0.1:{stack.state.port_of('users')}"
    assert stack.service_url("users") == f"http://{front}"
    assert f"listen {front};" in (layout.gateway / "extra-services.conf").read_text()


def test_a_port_that_is_taken_meanwhile_is_chosen_anew() -> None:
    """All others stay what they were."""
    import socket

    state = State(ports={"users-1": free_port()})
    kept = state.port_of("users-1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", state.port_of("valkey")))
        taken.listen()
        state.forget_taken_ports()
        assert state.ports == {"users-1": kept}
