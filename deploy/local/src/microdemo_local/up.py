"""Bringing the stack up, part after part, and down again."""

import signal
import time
from collections.abc import Callable, Sequence
from typing import Final

from microdemo_core.testing.servers import init_postgres, valkey_is_ready
from microdemo_local.checks import check_disk, check_port
from microdemo_local.databases import check_data_folder, clear_stale_pid, prepare_databases, why_unreachable
from microdemo_local.errors import LocalError
from microdemo_local.jobs import end_left_jobs, migrate, seed
from microdemo_local.keeper import Keeper
from microdemo_local.layout import Layout
from microdemo_local.options import Options
from microdemo_local.parts import APPS, EDGE, STORES, Part, parts_of, why_no_answer
from microdemo_local.progress import Progress
from microdemo_local.stack import Stack
from microdemo_local.state import Secrets, State

_READY_SECONDS: Final = 60.0


def bring_up(layout: Layout, options: Options, progress: Progress, *, reload: bool = False) -> Stack:
    """Starts what does not run yet; if that fails, ends what it started and leaves the rest as it was."""
    check_disk(layout.home)
    layout.make()
    end_left_jobs(layout)
    keeper = Keeper(layout)
    was_running = keeper.is_running()
    if not was_running:
        # A supervisord that was killed, or a machine that was switched off, may have left things behind.
        keeper.shutdown()
    stack = _stack(layout, options, alive=keeper.alive(), was_running=was_running, reload=reload)
    _check_own_servers(options)
    if stack.own_databases:
        _check_data_folder(stack, progress, runs="postgres" in keeper.alive())
    parts = parts_of(stack)
    stack.write_environments()
    stack.state.save(layout)
    alive: set[str] = set()
    try:
        if was_running:
            keeper.reconcile(parts)
        else:
            keeper.start(parts)
        alive = keeper.alive()
        missing = [part for part in parts if part.name not in alive]
        if missing or why_no_answer(stack) is not None:
            _start(stack, keeper, parts, missing, progress)
    except BaseException:
        # A second Ctrl-C does not leave it half-ended.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if was_running:
            keeper.stop_all_but(alive)
        else:
            keeper.shutdown()
        raise
    return stack


def take_down(layout: Layout) -> None:
    end_left_jobs(layout)
    Keeper(layout).shutdown()


def load_stack(layout: Layout, options: Options) -> Stack:
    """The stack as it was last brought up."""
    return Stack(layout=layout, options=options, state=State.load(layout), secrets=Secrets.load(layout))


def _stack(layout: Layout, options: Options, *, alive: set[str], was_running: bool, reload: bool) -> Stack:
    state, secrets = State.load(layout), Secrets.load(layout)
    port = options.port or state.port
    if "gateway" not in alive or port != state.port:
        check_port(port)
    state.port = port
    # How many replicas is remembered while they run; the port for good.
    state.replicas = options.replicas or (state.replicas if was_running else 1)
    if not was_running:
        state.forget_taken_ports()
    return Stack(layout=layout, options=options, state=state, secrets=secrets, reload=reload)


def _check_data_folder(stack: Stack, progress: Progress, *, runs: bool) -> None:
    if not stack.layout.postgres.exists():
        with progress.step("PostgreSQL's data folder"):
            init_postgres(stack.layout.postgres, stack.secrets.superuser_password)
    check_data_folder(stack.layout)
    if not runs:
        clear_stale_pid(stack.layout.postgres)


def _check_own_servers(options: Options) -> None:
    for service, url in options.database_urls.items():
        reason = why_unreachable(url)
        if reason:
            message = f"{service.upper()}_DATABASE_URL names a database that does not take us: {reason}"
            raise LocalError(message)
    if options.redis_url and not valkey_is_ready(f"{options.redis_url}/0"):
        message = "REDIS_URL names a server that does not answer."
        raise LocalError(message)


def _start(stack: Stack, keeper: Keeper, parts: Sequence[Part], missing: Sequence[Part], progress: Progress) -> None:
    def start(stage: int) -> None:
        for part in missing:
            if part.stage == stage:
                keeper.start_part(part)
        for part in parts:
            if part.stage == stage:
                with progress.step(f"{part.title} on {part.address}"):
                    _wait_until_ready(stack, keeper, part)

    start(STORES)
    if any(part.stage == APPS for part in missing):
        with progress.step("databases and migrations"):
            if stack.own_databases:
                prepare_databases(stack)
            migrate(stack)
        if stack.databases not in stack.state.seeded:
            with progress.step("demo data"):
                seed(stack)
            stack.state.seeded.append(stack.databases)
            stack.state.save(stack.layout)
    start(APPS)
    start(EDGE)
    with progress.step("all services through the gateway"):
        _wait_until(lambda: why_no_answer(stack), lambda: None)


def _wait_until_ready(stack: Stack, keeper: Keeper, part: Part) -> None:
    log = stack.layout.log(part.name)

    def check() -> None:
        if keeper.process(part.name).is_dead:
            message = f"{part.title} ended right after its start."
            raise LocalError(message, log=log)

    try:
        _wait_until(part.why_not_ready, check)
    except TimeoutError as error:
        message = f"{part.title} runs, but is not ready after {_READY_SECONDS:.0f} s: {error}."
        raise LocalError(message, log=log) from error


def _wait_until(why_not: Callable[[], str | None], check: Callable[[], None]) -> None:
    give_up = time.monotonic() + _READY_SECONDS
    while reason := why_not():
        check()
        if time.monotonic() > give_up:
            raise TimeoutError(reason)
        time.sleep(0.1)
