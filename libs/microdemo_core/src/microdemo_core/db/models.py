"""What most tables share, on advanced-alchemy's bases.

A service's models name their service as ``__bind_key__``, which gives each service a metadata of its own::

    class User(Timestamps, IdentityBase):
        __tablename__ = "users"
        __bind_key__ = "users"

``IdentityBase`` draws ids from a sequence, so that the id of a deleted row is never given again.
"""

from datetime import datetime

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import DateTimeUTC
from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

__all__ = ("IdentityBase", "Timestamps")


class Timestamps:
    """Times of the row's transaction, kept by the database, so that bulk SQL writes them too."""

    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True), server_default=func.now(), sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(
        DateTimeUTC(timezone=True), server_default=func.now(), onupdate=func.now(), sort_order=91
    )
