"""Finding, and ending, what is left of processes that were started here.

Whoever starts something here gives it a session of its own, writes the session's number down, and has it work in
the home. So what survives a parent that was killed can be told from everything else on the machine: by both,
since after a reboot the number may be anybody's.
"""

import os
import signal
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # it ships no types

_POLITE_SECONDS: Final = 15.0


def read_session(file: Path) -> int | None:
    """The number written down in `file`; None if there is none."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def members(session: int | None, home: Path) -> list[psutil.Process]:
    """The processes of that session that work below `home`."""
    return [process for process in psutil.process_iter() if _is_member(process, session, home)]


def end_session(session: int | None, home: Path) -> None:
    """Ends them by pid, those at the top first and politely, after 15 s all that are left."""
    top = _without_children(members(session, home))
    for process in top:
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients.
        _send(process, signal.SIGINT if _name(process) == "postgres" else signal.SIGTERM)
    psutil.wait_procs(top, timeout=_POLITE_SECONDS)
    left = members(session, home)
    for process in left:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=_POLITE_SECONDS)


def _is_member(process: psutil.Process, session: int | None, home: Path) -> bool:
    try:
        return (
            os.getsid(process.pid) == session
            and process.status() != psutil.STATUS_ZOMBIE
            and Path(process.cwd()).is_relative_to(home)
        )
    except (OSError, psutil.Error):
        return False


def _without_children(processes: list[psutil.Process]) -> list[psutil.Process]:
    pids = {process.pid for process in processes}
    return [process for process in processes if _parent(process) not in pids]


def _parent(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
