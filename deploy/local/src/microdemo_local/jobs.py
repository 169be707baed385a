"""Commands that run to their end: migrations and demo data."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from microdemo_local.errors import LocalError
from microdemo_local.keeper import base_environment
from microdemo_local.layout import SERVICES, Layout
from microdemo_local.sessions import end_session, read_session
from microdemo_local.stack import Stack
from microdemo_local.state import write_private

_MIGRATE_SECONDS: Final = 300.0


def migrate(stack: Stack) -> None:
    """Brings the three databases to their newest schema, at the same time."""
    with ExitStack() as running:
        jobs = [
            (service, running.enter_context(_job(stack.layout, [service, "migrate"], stack.environment(service))))
            for service in SERVICES
        ]
        for service, job in jobs:
            try:
                failed = job.wait(_MIGRATE_SECONDS) != 0
            except subprocess.TimeoutExpired:
                failed = True
            if failed:
                message = f"`{service} migrate` failed."
                raise LocalError(message, log=stack.layout.log(f"{service}-migrate"))


def seed(stack: Stack, *, orders: int | None = None, output: IO[bytes] | None = None) -> None:
    """Loads the demo data; the seeder itself leaves alone what is there. Its words go to `output` or a log."""
    command = ["microdemo-demo", *(["--orders", str(orders)] if orders is not None else [])]
    with _job(stack.layout, command, stack.demo_environment(), output) as job:
        if job.wait() != 0:
            message = "Loading the demo data failed."
            raise LocalError(message, log=None if output else stack.layout.log("microdemo-demo"))


@contextmanager
def _job(
    layout: Layout, command: list[str], environment: dict[str, str], output: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The running command; ended, if it still runs, with the block."""
    log: Path = layout.log("-".join(command[:2]) if command[-1] == "migrate" else command[0])
    with log.open("wb") as file:
        try:
            job = subprocess.Popen(  # noqa: S603 -- the command is made here
                [layout.command(command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output or file,
                stderr=subprocess.STDOUT,
                cwd=layout.home,
                env=base_environment(layout) | environment,
                start_new_session=True,
            )
        except OSError as error:
            message = f"{layout.command(command[0])} cannot be run ({error.strerror}): `make up` installs it."
            raise LocalError(message) from error
        session = layout.run / f"{log.stem}.job"
        try:
            write_private(session, str(job.pid))
            yield job
        finally:
            end_session(job.pid, layout.home)
            job.wait()
            session.unlink(missing_ok=True)


def end_left_jobs(layout: Layout) -> None:
    """Of a command that was killed; to be called under the lock, where no other command has any."""
    for file in layout.run.glob("*.job"):
        end_session(read_session(file), layout.home)
        file.unlink(missing_ok=True)
