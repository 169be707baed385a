"""What runs, where, and what it weighs."""

import msgspec
import psutil  # type: ignore[import-untyped]  # it ships no types

from microdemo_local.keeper import Keeper
from microdemo_local.stack import Stack


class PartStatus(msgspec.Struct, frozen=True):
    """`megabytes` counts the part with its children, shared memory once (PSS) where the system tells."""

    name: str
    state: str
    pid: int
    address: str
    megabytes: float


def statuses(stack: Stack) -> list[PartStatus]:
    """Of every part, supervisord last; nothing if it does not run."""
    keeper = Keeper(stack.layout)
    if not keeper.is_running():
        return []
    found = [
        PartStatus(
            name=process.name,
            state=process.statename.lower(),
            pid=process.pid,
            address=_address(stack, process.name),
            megabytes=_megabytes(process.pid),
        )
        for process in keeper.processes()
    ]
    pid = keeper.pid()
    return [*found, PartStatus("supervisord", "running", pid, "", _megabytes(pid, children=False))]


def _address(stack: Stack, part: str) -> str:
    return stack.address if part == "gateway" else f"127.0.0.1:{stack.state.ports.get(part, 0)}"


def _megabytes(pid: int, *, children: bool = True) -> float:
    if pid == 0:
        return 0.0
    total = 0
    try:
        process = psutil.Process(pid)
        for member in [process, *(process.children(recursive=True) if children else [])]:
            try:
                memory = member.memory_full_info()
                total += getattr(memory, "pss", memory.rss)
            except psutil.AccessDenied:
                total += member.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total / 1_000_000
