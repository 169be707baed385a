"""The SQL behind accounts. Addresses are compared by the database's own ``lower``, on both sides."""

from collections.abc import Sequence
from typing import Any

from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from sqlalchemy import ARRAY, Row, Select, String, cast, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from microdemo_core.db import Listing, PageRequest, fetch_page
from microdemo_users.errors import EmailTaken
from microdemo_users.models import User
from microdemo_users.schemas import Role

__all__ = ("UserRepository",)

_ONE_EMAIL = "uq_users_email_lower"
_IMPORT_LOCK = 0x75736572  # "user"


class UserRepository(SQLAlchemyAsyncRepository[User]):
    model_type = User
    session: AsyncSession

    async def save(self, user: User) -> User:
        """Writes what is new or changed in ``user``. Raises: EmailTaken."""
        self.session.add(user)
        try:
            await self.session.flush()
        except IntegrityError as error:
            if _ONE_EMAIL in str(error.orig):
                raise EmailTaken from None
            raise
        return user

    async def with_email(self, email: str) -> User | None:
        return await self.get_one_or_none(func.lower(User.email) == func.lower(email))

    async def locked(self, user_id: int) -> User | None:
        """The row, held until the transaction ends."""
        return await self.get_one_or_none(User.id == user_id, with_for_update=True)

    async def lock_active_admins(self) -> set[int]:
        """Their ids. In id order, so that two who do this take turns and do not deadlock."""
        statement = select(User.id).where(User.role == "admin", User.is_active).order_by(User.id).with_for_update()
        return set((await self.session.scalars(statement)).all())

    async def password_hash(self, user_id: int) -> str | None:
        return await self.session.scalar(select(User.password_hash).where(User.id == user_id))

    async def replace_password(self, user_id: int, *, old: str | None, new: str, must_change: bool) -> bool:
        """Whether ``old`` was still there to be replaced."""
        statement = (
            update(User)
            .where(User.id == user_id, User.password_hash == old)
            .values(password_hash=new, must_change_password=must_change)
            .returning(User.id)
        )
        return await self.session.scalar(statement) is not None

    async def page(
        self, page: PageRequest, *, q: str | None, role: Role | None, is_active: bool | None
    ) -> Listing[User]:
        return await fetch_page(
            self.session,
            _matching(q, role, is_active),
            page,
            key=User.id,
            sortable={"id": User.id, "name": User.name, "email": User.email, "created_at": User.created_at},
            default_sort="id",
        )

    async def columns_after(
        self, user_id: int, columns: Sequence[str], *, limit: int
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """The next ``limit`` rows by id: one step of a walk over all of them."""
        selected = [getattr(User, name) for name in columns]
        statement = select(*selected).where(User.id > user_id).order_by(User.id).limit(limit)
        return (await self.session.execute(statement)).all()

    async def lock_with_emails(self, emails: Sequence[str]) -> Sequence[User]:
        """Those of ``emails`` that have an account, held until the transaction ends."""
        wanted = func.unnest(cast(emails, ARRAY(String))).column_valued("email")
        lowered = select(func.lower(wanted))
        statement = select(User).where(func.lower(User.email).in_(lowered)).order_by(User.id).with_for_update(of=User)
        return (await self.session.scalars(statement)).all()

    async def add_without_password(self, values: list[dict[str, Any]]) -> dict[str, int]:
        """Ids by address, of those whose address was free."""
        if not values:
            return {}
        statement = insert(User).on_conflict_do_nothing().returning(User.email, User.id)
        return {row.email: row.id for row in await self.session.execute(statement, values)}

    async def lock_imports(self) -> bool:
        """Until the transaction ends; False while another import holds the lock."""
        return bool(await self.session.scalar(select(func.pg_try_advisory_xact_lock(_IMPORT_LOCK))))


def _matching(q: str | None, role: Role | None, is_active: bool | None) -> Select[User]:  # noqa: FBT001 - filters, as in the URL
    statement = select(User)
    if q:
        # No index serves a substring; it is an admin's search over one narrow table.
        parts = (column.icontains(q, autoescape=True) for column in (User.name, User.email))
        statement = statement.where(or_(*parts))
    if role is not None:
        statement = statement.where(User.role == role)
    if is_active is not None:
        statement = statement.where(User.is_active.is_(is_active))
    return statement
