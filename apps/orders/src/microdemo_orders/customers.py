"""Who an order is for, asked of the users service before anything is written."""

import msgspec

from microdemo_core.auth import Principal, TokenSigner
from microdemo_core.clients import Peer
from microdemo_core.problems import Invalid, Unauthenticated

__all__ = ("Customers",)

_NOT_FOUND = 404


class _Account(msgspec.Struct, frozen=True):
    is_active: bool


class Customers:
    def __init__(self, peer: Peer, signer: TokenSigner) -> None:
        self._peer = peer
        self._signer = signer

    async def require_active(self, caller: Principal, user_id: int) -> None:
        """Raises: Unauthenticated (the caller's own account is gone), Invalid (another's), PeerProblem."""
        token = self._signer.service_token("users", acting_for=caller.user_id)
        reply = await self._peer.get(f"/{user_id}", token=token)
        if reply.status_code != _NOT_FOUND and reply.raise_for_status().decode(_Account).is_active:
            return
        if user_id == caller.user_id:
            raise Unauthenticated("This account does not exist any more, or is not active.")
        raise Invalid.field("user_id", f"there is no active account {user_id}")
