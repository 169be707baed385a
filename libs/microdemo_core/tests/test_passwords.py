"""What a login costs, and what it tells."""

import asyncio
import re
import sys
from collections.abc import Iterator
from threading import Event, Lock
from typing import Literal

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from microdemo_core.auth.passwords import MAX_BYTES, PARAMETERS, Passwords, Verified, temporary_password
from microdemo_core.problems import Invalid, Unavailable

pytestmark = pytest.mark.anyio


class CountingHasher(PasswordHasher):
    """argon2 with small parameters; counts what was really computed, and how much of it at once."""

    def __init__(self, *, time_cost: int = 1) -> None:
        super().__init__(memory_cost=64, time_cost=time_cost, parallelism=1)
        self.computed = 0
        self.at_once = 0
        self.most_at_once = 0
        self.begun = Event()
        self.gate = Event()
        self.gate.set()
        self._lock = Lock()

    def _enter(self) -> None:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.set()
        self.gate.wait(30)

    def _leave(self, *, computed: bool) -> None:
        with self._lock:
            self.at_once -= 1
            self.computed += computed

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self._enter()
        try:
            return super().hash(password, salt=salt)
        finally:
            self._leave(computed=True)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the base class's name
        self._enter()
        computed = False
        try:
            super().verify(hash, password)
            computed = True
        except VerifyMismatchError:
            computed = True
            raise
        finally:
            self._leave(computed=computed)
        return True


@pytest.fixture(name="hasher")
def _hasher() -> CountingHasher:
    return CountingHasher()


async def test_the_right_password_matches_and_no_other_does(hasher: CountingHasher) -> None:
    """A NUL ends nothing, and one letter written in two ways is one letter."""
    passwords = Passwords(hasher=hasher)
    stored = await passwords.hash("caf\u00e9\0latte")
    assert await passwords.verify(stored, "caf\u00e9\0latte") == Verified(ok=True)
    assert await passwords.verify(stored, "cafe\u0301\0latte") == Verified(ok=True)
    assert await passwords.verify(stored, "caf\u00e9\0") == Verified(ok=False)
    assert await passwords.verify(stored, "") == Verified(ok=False)
    await passwords.aclose()


async def test_hashes_are_made_with_the_agreed_parameters() -> None:
    """argon2id, 19 MiB, two passes, one lane; the salt makes two hashes of one password differ."""
    passwords = Passwords()
    first, second = await asyncio.gather(passwords.hash("password123"), passwords.hash("password123"))
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert await passwords.verify(first, "password123") == Verified(ok=True)
    await passwords.aclose()


@pytest.mark.parametrize(
    "stored",
    [None, "", "plain", "$argon2id$", "$argon2id$v=19$m=64,t=1,p=1$c2FsdA$", "$2b$12$bcryptbcryptbcrypt", "pässword"],
)
async def test_no_account_costs_what_a_wrong_password_costs(hasher: CountingHasher, stored: str | None) -> None:
    """One computation for a wrong password, for an unknown account and for a stored value that is no hash."""
    passwords = Passwords(hasher=hasher)
    known = await passwords.hash("password123")
    before = hasher.computed
    assert await passwords.verify(known, "wrong") == Verified(ok=False)
    assert hasher.computed == before + 1
    assert await passwords.verify(stored, "password123") == Verified(ok=False)
    assert hasher.computed == before + 2
    await passwords.aclose()


async def test_the_dummy_has_the_current_parameters(hasher: CountingHasher) -> None:
    """Else an unknown account would cost more or less than a known one."""
    passwords = Passwords(hasher=hasher)
    dummy = extract_parameters(passwords._dummy)
    known = extract_parameters(await passwords.hash("password123"))
    assert dummy == known
    await passwords.aclose()


async def test_a_hash_with_other_parameters_is_replaced_on_login(hasher: CountingHasher) -> None:
    """Only after the right password; the new hash matches and is then left alone."""
    older = CountingHasher(time_cost=2).hash("password123")
    passwords = Passwords(hasher=hasher)
    assert await passwords.verify(older, "wrong") == Verified(ok=False)
    verified = await passwords.verify(older, "password123")
    assert verified.ok
    assert verified.rehashed is not None
    assert not hasher.check_needs_rehash(verified.rehashed)
    assert await passwords.verify(verified.rehashed, "password123") == Verified(ok=True)
    await passwords.aclose()


async def test_beyond_the_queue_the_answer_is_503(hasher: CountingHasher) -> None:
    """Workers and queue full: refused at once with Retry-After; when they are done there is room again."""
    passwords = Passwords(workers=2, queue=3, hasher=hasher)
    stored = await passwords.hash("password123")
    hasher.gate.clear()
    calls = [asyncio.create_task(passwords.verify(stored, "password123")) for _ in range(5)]
    await asyncio.sleep(0)
    for refused in (
        passwords.verify(stored, "password123"),
        passwords.verify(None, "x"),
        passwords.hash("password123"),
    ):
        with pytest.raises(Unavailable) as raised:
            await refused
        assert raised.value.status_code == 503
        assert raised.value.headers == {"Retry-After": "1"}
    hasher.gate.set()
    assert await asyncio.gather(*calls) == [Verified(ok=True)] * 5
    assert hasher.most_at_once == 2
    assert (await passwords.verify(stored, "password123")).ok
    await passwords.aclose()


async def test_a_caller_who_gives_up_while_waiting_frees_its_place(hasher: CountingHasher) -> None:
    """A job that had not begun is not computed for nobody."""
    passwords = Passwords(workers=1, queue=1, hasher=hasher)
    hasher.gate.clear()
    hasher.begun.clear()
    begun = asyncio.create_task(passwords.hash("password123"))
    await asyncio.to_thread(hasher.begun.wait, 30)
    waiting = asyncio.create_task(passwords.hash("password123"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    successor = asyncio.create_task(passwords.hash("password123"))
    await asyncio.sleep(0)
    assert not successor.done()
    before = hasher.computed
    hasher.gate.set()
    await asyncio.gather(begun, successor)
    assert hasher.computed == before + 2
    await passwords.aclose()


class TurnsHasher(PasswordHasher):
    """The real parameters; notes how often the event loop turned during each verify."""

    def __init__(self) -> None:
        super().__init__(PARAMETERS.time_cost, PARAMETERS.memory_cost, PARAMETERS.parallelism)
        self.turns = 0
        self.turns_during_a_verify: list[int] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the base class's name
        before = self.turns
        super().verify(hash, password)
        self.turns_during_a_verify.append(self.turns - before)
        return True


@pytest.fixture(name="_no_preemption")
def _no_preemption_() -> Iterator[None]:
    """A thread keeps the GIL until it lets go of it, so one that computes with it in hand stops the loop for sure."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(100)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_no_preemption")
async def test_the_event_loop_goes_on_while_passwords_are_verified() -> None:
    """It turns during every verify: the work is on threads, and argon2 lets go of the GIL there."""
    hasher = TurnsHasher()
    passwords = Passwords(hasher=hasher)
    stored = await passwords.hash("password123")
    verifies = [asyncio.create_task(passwords.verify(stored, "password123")) for _ in range(8)]
    while not all(task.done() for task in verifies):
        await asyncio.sleep(0)
        hasher.turns += 1
    assert await asyncio.gather(*verifies) == [Verified(ok=True)] * 8
    assert len(hasher.turns_during_a_verify) == 8
    assert 0 not in hasher.turns_during_a_verify  # 2,500 to 28,000 when it was written
    await passwords.aclose()


async def test_closing_waits_for_what_is_under_way(hasher: CountingHasher) -> None:
    """Whoever was let in gets an answer."""
    passwords = Passwords(workers=1, queue=5, hasher=hasher)
    calls = [asyncio.create_task(passwords.hash("password123")) for _ in range(4)]
    await asyncio.sleep(0)
    await passwords.aclose()
    assert len(set(await asyncio.gather(*calls))) == 4


async def test_an_absurd_password_is_not_hashed(hasher: CountingHasher) -> None:
    """Too long for any account: a field error where it is set, no match and no work where it is tried."""
    passwords = Passwords(hasher=hasher)
    before = hasher.computed
    assert await passwords.verify(None, "x" * (MAX_BYTES + 1)) == Verified(ok=False)
    with pytest.raises(Invalid) as raised:
        await passwords.hash("x" * (MAX_BYTES + 1))
    assert "x" * 300 not in str(raised.value)
    assert hasher.computed == before
    longest = await passwords.hash("\U0001f511" * 256)
    assert (await passwords.verify(longest, "\U0001f511" * 256)).ok
    await passwords.aclose()


async def test_temporary_passwords_can_be_read_aloud() -> None:
    """Long enough, different each time, and without characters that look alike."""
    made = {temporary_password() for _ in range(500)}
    assert len(made) == 500
    assert all(re.fullmatch(r"[a-z0-9]{16}", password) for password in made)
    assert not set("".join(made)) & set("0oil1")
