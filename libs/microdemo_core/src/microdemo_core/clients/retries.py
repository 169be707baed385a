"""When a call may be tried once more, and after how long."""

import random
from typing import Final

__all__ = ("RetryBudget", "backoff_seconds")

_CAPACITY: Final = 10.0
_BASE_SECONDS: Final = 0.05


class RetryBudget:
    """Token bucket: each call puts in a tenth of a token, each retry takes a whole one.

    So a peer that is down gets 10% more calls, not twice as many; the ten tokens to begin with are for quiet times.
    """

    __slots__ = ("_ratio", "_tokens")

    def __init__(self, ratio: float = 0.1) -> None:
        self._ratio = ratio
        self._tokens = _CAPACITY

    def deposit(self) -> None:
        self._tokens = min(_CAPACITY, self._tokens + self._ratio)

    def withdraw(self) -> bool:
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def backoff_seconds(retry_after_seconds: int | None) -> float:
    """25 to 75 ms, after whatever the peer asked for: callers that failed together must not come back together."""
    jittered = _BASE_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret
    return (retry_after_seconds or 0) + jittered
