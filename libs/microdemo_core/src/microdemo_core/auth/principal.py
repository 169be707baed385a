"""Who is asking: what a verified token says, and nothing looked up."""

from typing import Literal

import msgspec

__all__ = ("Principal", "Role")

Role = Literal["user", "admin", "service"]


class Principal(msgspec.Struct, frozen=True):
    """``user_id`` is the account asked for; for a service it is the one it acts for. ``expires_at`` is Unix seconds."""

    user_id: int
    role: Role
    issuer: str
    token_id: str
    expires_at: int
    must_change_password: bool = False

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    def may_act_for(self, user_id: int) -> bool:
        """The ownership rule: one's own things, or anybody's as an admin."""
        return self.role == "admin" or (self.role == "user" and self.user_id == user_id)
