"""supervisord's configuration file."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from microdemo_local.layout import Layout
from microdemo_local.parts import Part


def keeper_config(layout: Layout, socket: Path, parts: Sequence[Part]) -> str:
    """Holds secrets (the parts' environments): to be written for the owner alone."""
    return "\n".join(
        [
            _HEAD.format(home=_plain(layout.home), run=_plain(layout.run), socket=_plain(socket), root=_as_root()),
            *(_program(layout, part) for part in parts),
        ]
    )


_HEAD = """\
[supervisord]
logfile={run}/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile={run}/supervisord.pid
childlogdir={run}
umask=077
directory={home}
{root}
[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

# startsecs: who dies within 5 s of a start waits 1, 2, 3 … s for the next try, who dies later starts at once.
_PROGRAM = """\
[program:{name}]
command={command}
directory={directory}
environment={environment}
autostart=false
autorestart=true
startsecs=5
startretries=30
stopsignal={stop_signal}
stopwaitsecs={stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=1
priority={stage}
{user}
"""


def _program(layout: Layout, part: Part) -> str:
    environment = ",".join(f'{key}="{value}"' for key, value in part.environment.items())
    return _PROGRAM.format(
        name=part.name,
        command=_plain(shlex.join(part.command)),
        directory=_plain(layout.home),
        environment=_plain(environment),
        stop_signal=part.stop_signal,
        stop_seconds=part.stop_seconds,
        log=_plain(layout.log(part.name)),
        stage=part.stage,
        user=f"user={part.user}" if part.user else "",
    )


def _plain(value: str | Path) -> str:
    """Percent signs doubled: supervisord expands "%(name)s"."""
    return str(value).replace("%", "%%")


def _as_root() -> str:
    # Said outright, or it warns.
    return "user=root\n" if os.geteuid() == 0 else ""
