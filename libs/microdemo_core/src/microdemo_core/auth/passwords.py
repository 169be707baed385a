"""Passwords: argon2id on threads of its own, and the same work whether the account exists or not.

One hash takes 20 to 30 ms of a core, and 19 MiB. argon2-cffi lets go of the GIL meanwhile, so the event loop goes on.
"""

import asyncio
import secrets
import string
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import BoundedSemaphore
from typing import Final, TypeVar

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from microdemo_core.problems import Invalid, Unavailable

__all__ = ("PARAMETERS", "Passwords", "Verified", "temporary_password")

PARAMETERS: Final = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
"""argon2id with 19 MiB, two passes, one lane: OWASP's first choice for a server."""

MAX_BYTES: Final = 4096
"""More than 256 characters can take, in UTF-8 and normalised. The services' schemas count characters (8…256)."""

_UNAMBIGUOUS: Final = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("il1o0")))

T = TypeVar("T")


class Verified(msgspec.Struct, frozen=True):
    """``rehashed`` is set if the stored hash was made with other parameters: store it in its place."""

    ok: bool
    rehashed: str | None = None


class Passwords:
    """Hashes and verifies on ``workers`` threads; at most ``queue`` more calls wait, the next one is a 503.

    The default queue is a second's work for two threads. Making one computes a hash: 30 ms, before the loop runs.
    """

    def __init__(self, *, workers: int = 2, queue: int = 64, hasher: PasswordHasher = PARAMETERS) -> None:
        self._hasher = hasher
        # Nobody knows what it is the hash of, so nobody matches it.
        self._dummy = hasher.hash(secrets.token_bytes(16))
        self._slots = BoundedSemaphore(workers + queue)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="argon2")

    async def hash(self, password: str) -> str:
        """The encoded hash. Raises Invalid beyond MAX_BYTES, Unavailable if the queue is full."""
        secret = _encode(password)
        if len(secret) > MAX_BYTES:
            raise Invalid.field("password", "is too long")
        return await self._run(lambda: self._hasher.hash(secret))

    async def verify(self, stored: str | None, password: str) -> Verified:
        """Costs one hash in any case: pass None for an unknown account, or for one without a password.

        A stored value that is no hash matches nothing. Raises Unavailable if the queue is full.
        """
        secret = _encode(password)
        if len(secret) > MAX_BYTES:
            return Verified(ok=False)  # no account can have it, so a quick answer tells nothing about this one
        return await self._run(lambda: self._verify(stored, secret))

    async def aclose(self) -> None:
        """Waits for the hashes under way and in the queue."""
        await asyncio.to_thread(self._threads.shutdown)

    def _verify(self, stored: str | None, secret: bytes) -> Verified:
        against = self._dummy if stored is None else stored
        if not self._matches(against, secret):
            return Verified(ok=False)
        outdated = self._hasher.check_needs_rehash(against)
        return Verified(ok=True, rehashed=self._hasher.hash(secret) if outdated else None)

    def _matches(self, stored: str, secret: bytes) -> bool:
        """Computes one hash, whatever ``stored`` is."""
        try:
            return self._hasher.verify(stored, secret)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, UnicodeEncodeError, VerificationError):
            # argon2 could not read it and computed nothing. Was it short of memory instead, this one raises too.
            with suppress(VerifyMismatchError):
                self._hasher.verify(self._dummy, secret)
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._slots.acquire(blocking=False):
            raise Unavailable("Too many people are signing in at this moment; try again in a second.")
        job = self._threads.submit(work)
        # On the job, not on the caller: one who gives up frees the place only if the job had not begun.
        job.add_done_callback(lambda _: self._slots.release())
        return await asyncio.wrap_future(job)


def temporary_password() -> str:
    """16 characters, 79 bits, without those that look alike (``0 o 1 i l``)."""
    return "".join(secrets.choice(_UNAMBIGUOUS) for _ in range(16))


def _encode(password: str) -> bytes:
    """NFC first: one keyboard sends ``é`` as one character, another as two."""
    return unicodedata.normalize("NFC", password).encode()
