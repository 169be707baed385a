"""The one table: accounts."""

from typing import Any

from sqlalchemy import CheckConstraint, Index, String, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from microdemo_core.db import IdentityBase, Timestamps
from microdemo_users.schemas import Role

__all__ = ("User",)


class User(Timestamps, IdentityBase):
    """An account. Without ``password_hash`` nobody can sign in to it until an admin resets its password."""

    __tablename__ = "users"
    __bind_key__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('user', 'admin')", name="role"),
        CheckConstraint("jsonb_typeof(preferences) = 'object'", name="preferences"),
        # Addresses are stored as given and compared without case.
        Index("uq_users_email_lower", func.lower(text("email")), unique=True),
        # The list's filters, the head counts, and the last admin.
        Index("ix_users_role_is_active", "role", "is_active"),
        Index("ix_users_created_at", "created_at"),
    )

    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    must_change_password: Mapped[bool] = mapped_column(server_default=text("false"))
    role: Mapped[Role] = mapped_column(String(16), server_default="user")
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    preferences: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
