"""What can go wrong with a peer.

    PeerProblem
    ├── PeerUnavailable  503  open breaker, refused, dropped, timed out, or it said 503 itself
    └── PeerFailed       502  any other 5xx, or an answer that is not what was agreed

A 4xx is no error here: only the caller knows what it means (``Reply.raise_for_status`` has the usual reading).
"""

from typing import Literal

from microdemo_core.problems import BadGateway, Problem, Unavailable

__all__ = ("PeerFailed", "PeerProblem", "PeerUnavailable", "Reason")

Reason = Literal["breaker_open", "no_time", "refused", "dropped", "timeout", "overloaded", "failed", "nonsense"]


class PeerProblem(Problem):
    """``maybe_executed`` is False only if no attempt of the call can have reached the peer's code.

    A saga must look or compensate when it is True; when it is False it may simply give up.
    ``asked_seconds`` is the peer's own Retry-After.
    """

    peer: str
    reason: Reason
    maybe_executed: bool
    asked_seconds: int | None = None


class PeerUnavailable(PeerProblem, Unavailable):
    def __init__(self, peer: str, reason: Reason, *, maybe_executed: bool, retry_after_seconds: float = 1) -> None:
        super().__init__(
            f"The {peer} service does not answer just now. Please try again in a moment.",
            retry_after_seconds=retry_after_seconds,
        )
        self.peer, self.reason, self.maybe_executed = peer, reason, maybe_executed


class PeerFailed(PeerProblem, BadGateway):
    def __init__(self, peer: str, reason: Reason = "nonsense", *, maybe_executed: bool = True) -> None:
        super().__init__(f"The {peer} service gave an answer that we cannot use.")
        self.peer, self.reason, self.maybe_executed = peer, reason, maybe_executed
