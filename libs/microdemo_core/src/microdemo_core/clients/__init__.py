"""Calls to other services: bounded in time, retried where that is safe, refused early while a peer is down."""

from microdemo_core.clients.errors import PeerFailed, PeerProblem, PeerUnavailable, Reason
from microdemo_core.clients.peer import Peer, RequestOptions
from microdemo_core.clients.reply import Reply

__all__ = ("Peer", "PeerFailed", "PeerProblem", "PeerUnavailable", "Reason", "Reply", "RequestOptions")
