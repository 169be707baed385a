"""The command of every service: ``users`` serves, ``users migrate`` brings its schema up to date."""

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

import uvicorn
from litestar import Litestar

from microdemo_core.db import Migrations, create_engine
from microdemo_core.protocol import ProblemProtocol
from microdemo_core.settings import Settings, SettingsError

__all__ = ("run",)


S = TypeVar("S", bound=Settings)


def run(name: str, create_app: Callable[[S], Litestar], settings_type: type[S], migrations: Path) -> None:
    """Parses ``sys.argv`` and does what it says; a wrong environment ends with one message and exit status 2."""
    parser = argparse.ArgumentParser(name, description=f"microdemo's {name} service")
    commands = parser.add_subparsers(dest="command")
    serve = commands.add_parser("serve", help="answer HTTP (the default)")
    for target in (parser, serve):
        target.add_argument("--host", default="127.0.0.1", help="address to listen on")
        target.add_argument("--port", default=8000, type=int, help="port to listen on")
    commands.add_parser("migrate", help="bring the database's schema up to date; safe from several replicas at once")
    revise = commands.add_parser("revise", help="write a revision from what the models have and the database lacks")
    revise.add_argument("message")
    arguments = parser.parse_args()
    try:
        settings = settings_type.load()
    except SettingsError as error:
        _refuse(name, error)
    match arguments.command:
        case "migrate":
            asyncio.run(_migrate(name, settings, migrations))
        case "revise":
            asyncio.run(_revise(name, settings, migrations, arguments.message))
        case _:
            _serve(create_app(settings), arguments.host, arguments.port)


def _refuse(name: str, error: SettingsError) -> NoReturn:
    print(
        f"{error}\n`make up` starts what {name} needs and writes its settings: "
        f"uv run --env-file .local/env/{name}.env {name}",
        file=sys.stderr,
    )
    raise SystemExit(2)


async def _migrate(name: str, settings: Settings, folder: Path) -> None:
    engine = create_engine(settings, application_name=f"{name}-migrate")
    try:
        before, after = await Migrations(name, folder).upgrade(engine)
    finally:
        await engine.dispose()
    print(f"{name}: schema is at {after}" + (" already" if before == after else f", was at {before or 'nothing'}"))


async def _revise(name: str, settings: Settings, folder: Path, message: str) -> None:
    engine = create_engine(settings, application_name=f"{name}-revise")
    try:
        await Migrations(name, folder).revise(engine, message)
    finally:
        await engine.dispose()


class _DrainingServer(uvicorn.Server):
    """Says ``draining`` on /readyz from the first SIGTERM on, while it finishes what it has."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if isinstance(self.config.app, Litestar):
            self.config.app.state.health.draining = True
        super().handle_exit(sig, frame)


def _serve(app: Litestar, host: str, port: int) -> None:
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=ProblemProtocol,
        # Above the gateway's 60 s, or it reuses a connection that we have just closed: 502.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
        # The kernel logs requests, once, as JSON; X-Forwarded-For is the gateway's business.
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
    )
    _DrainingServer(config).run()
