"""The long-running parts: how each is started, and how one asks whether it is ready."""

from collections.abc import Callable

import httpx
import msgspec

from microdemo_core.testing.servers import (
    LOOPBACK,
    postgres_command,
    postgres_is_ready,
    system_user,
    valkey_command,
    valkey_config,
    valkey_is_ready,
)
from microdemo_local.gateway import nginx_command, write_gateway
from microdemo_local.layout import SERVICES
from microdemo_local.stack import Stack
from microdemo_local.state import write_private


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One process. `why_not_ready` answers None when it is; `stage` orders the start, and the stop backwards."""

    name: str
    title: str
    address: str
    stage: int
    command: list[str]
    why_not_ready: Callable[[], str | None]
    environment: dict[str, str] = {}
    stop_signal: str = "TERM"
    stop_seconds: int = 15
    user: str | None = None


STORES, APPS, EDGE = 1, 2, 3


def parts_of(stack: Stack) -> list[Part]:
    """All parts of this stack in the order of their start; their configuration files are written on the way."""
    parts = [_postgres(stack)] if stack.own_databases else []
    if not stack.options.redis_url:
        parts.append(_valkey(stack))
    parts += [_service(stack, service, instance) for service in SERVICES for instance in stack.instances(service)]
    return [*parts, _gateway(stack)]


def _postgres(stack: Stack) -> Part:
    data_dir, user = stack.layout.postgres, system_user()
    port = stack.state.port_of("postgres")

    def why_not_ready() -> str | None:
        return None if postgres_is_ready(data_dir) else "it takes no connections"

    return Part(
        name="postgres",
        title="PostgreSQL",
        address=f"{LOOPBACK}:{port}",
        stage=STORES,
        command=postgres_command(data_dir, port),
        why_not_ready=why_not_ready,
        stop_signal="INT",  # a fast shutdown; TERM would wait for the clients to leave
        stop_seconds=30,
        user=user.pw_name if user else None,
    )


def _valkey(stack: Stack) -> Part:
    port = stack.state.port_of("valkey")
    config = stack.layout.run / "valkey.conf"
    write_private(config, valkey_config(port, stack.secrets.redis_password, stack.layout.run))

    def why_not_ready() -> str | None:
        return None if valkey_is_ready(stack.redis_url) else "it does not answer"

    return Part(
        name="valkey",
        title="Valkey",
        address=f"{LOOPBACK}:{port}",
        stage=STORES,
        command=valkey_command(config),
        why_not_ready=why_not_ready,
    )


def _service(stack: Stack, service: str, instance: str) -> Part:
    address = stack.instance_address(instance)
    host, _, port = address.partition(":")
    command = [stack.layout.command(service), "serve", "--host", host, "--port", port]
    if stack.reload:
        sources = (f"apps/{service}/src", "libs/microdemo_core/src")
        command = [
            *(stack.layout.command("uvicorn"), "--factory", f"microdemo_{service}.app:create_app"),
            *(
                "--host",
                host,
                "--port",
                port,
                "--no-access-log",
                "--timeout-keep-alive",
                "75",
                "--timeout-graceful-shutdown",
                "2",
                "--reload",
            ),
            *(argument for source in sources for argument in ("--reload-dir", str(stack.layout.root / source))),
        ]
    return Part(
        name=instance,
        title=instance if stack.state.replicas > 1 else service,
        address=address,
        stage=APPS,
        command=command,
        why_not_ready=lambda: _asked(f"http://{address}/readyz"),
        environment=stack.environment(service),
    )


def _gateway(stack: Stack) -> Part:
    digest = write_gateway(stack)
    return Part(
        name="gateway",
        title="gateway",
        address=stack.address.removeprefix("http://"),
        stage=EDGE,
        command=nginx_command(stack.layout.gateway),
        why_not_ready=lambda: _asked(f"{stack.address}/healthz"),
        # nginx does not read it: a changed environment makes supervisor start the part anew.
        environment={"GATEWAY_DIGEST": digest},
        stop_signal="QUIT",
    )


def why_no_answer(stack: Stack) -> str | None:
    """Asks every service through the gateway."""
    for service in SERVICES:
        reason = _asked(f"{stack.address}/{service}/healthz")
        if reason:
            return reason
    return None


def _asked(url: str) -> str | None:
    try:
        answer = httpx.get(url, timeout=5.0, trust_env=False)
    except httpx.HTTPError as error:
        return f"{url} does not answer ({error})"
    return None if answer.status_code == httpx.codes.OK else f"{url} answers {answer.status_code}: {answer.text[:300]}"
