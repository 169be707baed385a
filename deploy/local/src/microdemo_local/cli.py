"""`microdemo up | down | status | logs | reset | seed | watch`."""

import argparse
import errno
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from microdemo_core.testing.servers import ServerError
from microdemo_local.errors import LocalError
from microdemo_local.jobs import seed
from microdemo_local.keeper import Keeper
from microdemo_local.layout import SERVICES, Layout
from microdemo_local.logs import follow, log_files, tail
from microdemo_local.options import Options
from microdemo_local.progress import Progress
from microdemo_local.stack import Stack
from microdemo_local.state import exclusive
from microdemo_local.status import statuses
from microdemo_local.up import bring_up, load_stack, take_down

_INTERRUPTED = 130
_ACCOUNTS = "admin@test.com / password123 (admin), bob@example.com / password123"


def main(argv: Sequence[str] | None = None) -> int:
    """Answers the exit code: 0, 1 after one sentence on stderr, or 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        layout = Layout.of_checkout()
        run: Callable[[Layout, argparse.Namespace], int] = arguments.run
        return run(layout, arguments)
    except (LocalError, ServerError) as error:
        print(f"microdemo: {error}", file=sys.stderr)
        _print_tail(error.log)
        return 1
    except KeyboardInterrupt:
        print("\nmicrodemo: interrupted.", file=sys.stderr)
        return _INTERRUPTED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"microdemo: the disk is full ({error.filename or 'nothing more can be written'}).", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="microdemo", description="Runs microdemo's parts on this machine.")
    commands = parser.add_subparsers(required=True)

    def add(name: str, run: Callable[[Layout, argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    add("up", _up, "start everything, load the demo data the first time, return when it answers")
    add("down", _down, "stop everything; the data stays")
    add("status", _status, "what runs, where, and what it weighs")
    logs = add("logs", _logs, "the last lines of the logs")
    logs.add_argument("part", nargs="?", help="users, orders, inventory, gateway, postgres, valkey, …")
    logs.add_argument("-f", "--follow", action="store_true", help="and what comes, until Ctrl-C")
    add("reset", _reset, "stop everything and delete the data")
    seeding = add("seed", _seed, "load the demo data into the running system")
    seeding.add_argument("--orders", type=int, help="that many orders, for tests of scale")
    add("watch", _watch, "run with the services reloading on every change, until Ctrl-C")
    return parser


def _up(layout: Layout, _: argparse.Namespace) -> int:
    progress = Progress()
    with exclusive(layout, progress.say):
        stack = bring_up(layout, Options.of_environment(), progress)
    _print_addresses(stack, progress)
    return 0


def _down(layout: Layout, _: argparse.Namespace) -> int:
    if not layout.home.exists():
        return 0
    progress = Progress()
    with exclusive(layout, progress.say), progress.step("stopping everything"):
        take_down(layout)
    return 0


def _status(layout: Layout, _: argparse.Namespace) -> int:
    if not layout.home.exists() or not (found := statuses(load_stack(layout, Options()))):
        print("microdemo is down.")
        return 1
    print(f"{'PART':<14} {'STATE':<10} {'PID':>8}  {'ADDRESS':<24} {'MEMORY':>9}")
    for part in found:
        print(f"{part.name:<14} {part.state:<10} {part.pid or '':>8}  {part.address:<24} {part.megabytes:>6.0f} MB")
    return 0 if all(part.state in {"running", "starting"} for part in found) else 1


def _logs(layout: Layout, arguments: argparse.Namespace) -> int:
    for path in log_files(layout, arguments.part):
        for line in tail(path, 40):
            print(f"{path.stem:<12} | {line}")
    if arguments.follow:
        _print_new_lines(lambda: log_files(layout, arguments.part), lambda: True)
    return 0


def _reset(layout: Layout, _: argparse.Namespace) -> int:
    if not layout.home.exists():
        return 0
    progress = Progress()
    with exclusive(layout, progress.say), progress.step("deleting everything"):
        take_down(layout)
        shutil.rmtree(layout.home)
    return 0


def _seed(layout: Layout, arguments: argparse.Namespace) -> int:
    progress = Progress()
    with exclusive(layout, progress.say):
        if not Keeper(layout).is_running():
            message = "The databases are down: `make up` first."
            raise LocalError(message)
        seed(load_stack(layout, Options.of_environment()), orders=arguments.orders, output=sys.stdout.buffer)
    progress.say(f"Seeded in {progress.seconds:.1f} s.")
    return 0


def _watch(layout: Layout, _: argparse.Namespace) -> int:
    progress = Progress()
    options = Options.of_environment()
    try:
        with exclusive(layout, progress.say):
            stack = bring_up(layout, options, progress, reload=True)
        _print_addresses(stack, progress)
        progress.say("\nThe services reload when their code changes; Ctrl-C ends everything.\n")
        _print_new_lines(lambda: [layout.log(f"{service}-1") for service in SERVICES], Keeper(layout).is_running)
    except KeyboardInterrupt:
        progress.say()
    with exclusive(layout, progress.say), progress.step("stopping everything"):
        take_down(layout)
    return 0


def _print_new_lines(paths: Callable[[], Sequence[Path]], goes_on: Callable[[], bool]) -> None:
    try:
        for path, line in follow(paths, goes_on):
            print(f"{path.stem:<12} | {line}", flush=True)
    except KeyboardInterrupt:
        return


def _print_addresses(stack: Stack, progress: Progress) -> None:
    print(f"\nmicrodemo is up after {progress.seconds:.1f} s: {stack.address}/")
    for service in SERVICES:
        print(f"  {service:<10} {f'{stack.address}/{service}/':<35} try it: {stack.address}/{service}/schema")
    print(f"  accounts   {_ACCOUNTS}")
    print(f"  state      {stack.layout.home} (logs, data, connection strings in env/)")


def _print_tail(log: Path | None) -> None:
    lines = tail(log, 15) if log else []
    if lines:
        print(f"The end of {log}:", file=sys.stderr)
        for line in lines:
            print(f"  | {line}", file=sys.stderr)
