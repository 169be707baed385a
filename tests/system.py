"""A handle on a running system."""

import subprocess
import sys
from pathlib import Path

import httpx
import msgspec

COMMAND = Path(sys.executable).with_name("microdemo")


class Stack(msgspec.Struct, frozen=True):
    """A running system; ``run`` calls the ``microdemo`` command on it."""

    url: str
    environment: dict[str, str]

    def run(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own command
            [COMMAND, *arguments], env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"microdemo {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def pid_of(self, part: str) -> int:
        line = next(line for line in self.run("status").splitlines() if line.startswith(part))
        return int(line.split()[2])


async def sign_in(http: httpx.AsyncClient, email: str) -> dict[str, str]:
    """Headers of a demo account; all of them have the same password."""
    answer = await http.post("/users/login", json={"email": email, "password": "password123"})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
