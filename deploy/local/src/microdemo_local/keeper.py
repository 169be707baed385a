"""supervisord, which keeps the parts running: its start and end, and talking to it."""

import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from supervisor.xmlrpc import SupervisorTransport

from microdemo_local.errors import LocalError
from microdemo_local.keeper_config import keeper_config
from microdemo_local.layout import Layout
from microdemo_local.parts import Part
from microdemo_local.sessions import end_session, members, read_session
from microdemo_local.state import write_private

# sun_path holds 108 bytes on Linux and 104 on macOS; supervisor binds "<path>.<pid>" first.
_LONGEST_SOCKET_PATH: Final = 90
_START_SECONDS: Final = 15.0
_STOP_SECONDS: Final = 60.0
# Not there, or on its way out.
_AWAY: Final = (OSError, xmlrpc.client.Error, http.client.HTTPException)
_DEAD: Final = frozenset({"BACKOFF", "FATAL", "EXITED", "STOPPED", "UNKNOWN"})


class Process(msgspec.Struct, frozen=True):
    """What supervisord knows of a part."""

    name: str
    statename: str
    pid: int
    start: int
    now: int
    spawnerr: str = ""

    @property
    def is_dead(self) -> bool:
        """Also while it waits for its next try."""
        return self.statename in _DEAD


class Keeper:
    """The supervisord of one home, running or not."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._config = layout.run / "supervisord.conf"
        # It leads its session, and its parts belong to that; after a SIGKILL the file stays.
        self._session = layout.run / "supervisord.pid"

    # ---- its life ------------------------------------------------------------------------------------

    def is_running(self) -> bool:
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except _AWAY:
            return False

    def start(self, parts: Sequence[Part]) -> None:
        """Starts supervisord with these parts, none of them started."""
        self._make_socket_folder()
        self._write(parts)
        errors = self._layout.log("supervisord")
        with errors.open("wb") as output:
            # It goes into the background, and a session of its own, by itself.
            started = subprocess.run(  # noqa: S603 -- the command is made here
                [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._layout.home,
                env=base_environment(self._layout),
                check=False,
            )
        give_up = time.monotonic() + _START_SECONDS
        while not self.is_running():
            if started.returncode or time.monotonic() > give_up:
                message = "supervisord, which keeps the parts running, did not start."
                raise LocalError(message, log=errors)
            time.sleep(0.02)

    def reconcile(self, parts: Sequence[Part]) -> None:
        """Brings a running supervisord to these parts: those removed or changed are stopped."""
        self._write(parts)
        added, changed, removed = self._call("reloadConfig")[0]
        for name in [*changed, *removed]:
            self._call("stopProcessGroup", name)
            self._call("removeProcessGroup", name)
        for name in [*added, *changed]:
            self._call("addProcessGroup", name)

    def shutdown(self) -> None:
        """Stops all parts, last stage first, and supervisord; kills what is left of them after its time."""
        session = read_session(self._session)
        # If supervisord dies meanwhile, its parts are orphans.
        with suppress(*_AWAY):
            alive, stores = self.alive(), {"postgres", "valkey"}
            for stage in (alive & {"gateway"}, alive - stores - {"gateway"}, alive & stores):
                self._stop(stage)
            self._call("shutdown")
        # It ends after its parts, each of which it kills in the end.
        give_up = time.monotonic() + _STOP_SECONDS
        while any(process.pid == session for process in members(session, self._layout.home)):
            # Asking wakes it.
            self.is_running()
            if time.monotonic() > give_up:
                break
            time.sleep(0.05)
        end_session(session, self._layout.home)
        self._session.unlink(missing_ok=True)
        socket = self._socket()
        socket.unlink(missing_ok=True)
        if socket.parent != self._layout.run and socket.parent.exists():
            socket.parent.rmdir()

    # ---- its parts -------------------------------------------------------------------------------------

    def processes(self) -> list[Process]:
        return msgspec.convert(self._call("getAllProcessInfo"), list[Process])

    def alive(self) -> set[str]:
        """The names of the parts that run; none if supervisord does not."""
        return {process.name for process in self.processes() if not process.is_dead} if self.is_running() else set()

    def process(self, name: str) -> Process:
        return msgspec.convert(self._call("getProcessInfo", name), Process)

    def start_part(self, part: Part) -> None:
        """Starts the part anew if it is not running; does not wait for it."""
        process = self.process(part.name)
        if not process.is_dead:
            return
        if process.statename == "BACKOFF":
            self._call("stopProcess", part.name)
        try:
            self._call("startProcess", part.name, False)
        except xmlrpc.client.Fault as fault:
            message = f"{part.title} cannot be started: {fault.faultString}."
            raise LocalError(message, log=self._layout.log(part.name)) from fault

    def stop_all_but(self, names: set[str]) -> None:
        if self.is_running():
            self._stop({process.name for process in self.processes() if process.statename != "STOPPED"} - names)

    def pid(self) -> int:
        return int(self._call("getPID"))

    # ---- beneath ---------------------------------------------------------------------------------------

    def _write(self, parts: Sequence[Part]) -> None:
        write_private(self._config, keeper_config(self._layout, self._socket(), parts))

    def _stop(self, names: set[str]) -> None:
        """Stops these parts at the same time; supervisord by itself stops one after the other."""
        for name in names:
            # A fault says that it is not running any more.
            with suppress(xmlrpc.client.Fault):
                self._call("stopProcess", name, False)
        # Asking also wakes supervisord, which would notice an end only once a second.
        while names & self.alive():
            time.sleep(0.05)

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket()}")
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as server:
                return getattr(server.supervisor, method)(*arguments)
        finally:
            transport.close()

    def _socket(self) -> Path:
        """In the home, or for a home with a long path in a folder of its own among the temporary ones."""
        path = self._layout.run / "supervisor.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(os.fsencode(self._layout.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"microdemo-{os.geteuid()}-{digest}" / "supervisor.sock"

    def _make_socket_folder(self) -> None:
        folder = self._socket().parent
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid() or folder.stat().st_mode & 0o077:
            message = f"{folder}, where supervisord's socket belongs, is open to others or not ours: remove it."
            raise LocalError(message)


def base_environment(layout: Layout) -> dict[str, str]:
    """What every process here starts from, whatever the caller's environment is."""
    return {
        "PATH": f"{layout.commands}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(Path.home()),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }
