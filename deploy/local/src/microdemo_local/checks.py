"""What has to be in order before anything starts."""

import errno
import shutil
import socket
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # it ships no types

from microdemo_core.testing.servers import LOOPBACK
from microdemo_local.errors import LocalError

# PostgreSQL alone takes some 120 MB for three databases and its first log segments.
_LEAST_FREE_MEGABYTES: Final = 300


def check_disk(home: Path) -> None:
    folder = home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < _LEAST_FREE_MEGABYTES:
        message = f"The disk that holds {home} is full: {free} MB are free, {_LEAST_FREE_MEGABYTES} MB are needed."
        raise LocalError(message)


def check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = f"is in use{_by_whom(port)}" if taken else f"cannot be used ({error.strerror})"
            message = f"Port {port} {reason}: name another with PORT=."
            raise LocalError(message) from error


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        # An ordinary user may not see whose it is.
        pass
    return ""
