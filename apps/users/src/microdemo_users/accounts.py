"""The rules of accounts. Passwords are hashed before the first statement, so no connection waits for a hash."""

from typing import Any

import msgspec

from microdemo_core.auth import Passwords, Principal, temporary_password
from microdemo_core.db import UnitOfWork
from microdemo_users import models
from microdemo_users.directory import forget, read_user
from microdemo_users.errors import AdminsOnly, LastAdmin, NotYourAccount, UnknownUser
from microdemo_users.repository import UserRepository
from microdemo_users.schemas import CreatedUser, Registration, User, UserCreate, UserUpdate
from microdemo_users.texts import clean_email, clean_name, clean_preferences

__all__ = ("Accounts",)


class Accounts:
    def __init__(self, work: UnitOfWork, passwords: Passwords) -> None:
        self._work = work
        self._users = UserRepository(session=work.session)
        self._passwords = passwords

    async def register(self, wanted: Registration) -> models.User:
        """Raises: EmailTaken, Invalid."""
        return await self._add(wanted.name, wanted.email, wanted.password, must_change=False)

    async def create(self, wanted: UserCreate) -> CreatedUser:
        """With a temporary password where none is given. Raises: EmailTaken, Invalid."""
        if wanted.password is not None:
            row = await self._add(wanted.name, wanted.email, wanted.password, must_change=False)
            return msgspec.convert(row, CreatedUser, from_attributes=True)
        password = temporary_password()
        row = await self._add(wanted.name, wanted.email, password, must_change=True)
        return CreatedUser(**msgspec.structs.asdict(read_user(row)), temp_password=password)

    async def update(self, user_id: int, change: UserUpdate, *, by: Principal) -> User:
        """Fields equal to the stored ones are no change, so anybody may send them.

        Raises: NotYourAccount, AdminsOnly, UnknownUser, EmailTaken, LastAdmin, Invalid.
        """
        if not by.may_act_for(user_id):
            raise NotYourAccount
        if by.is_admin and (change.role == "user" or change.is_active is False):
            await self._leave_an_admin_besides(user_id)
        user = await self._locked(user_id)
        if not by.is_admin:
            _refuse_rights(user, change)
        if change.name is not None:
            user.name = clean_name(change.name)
        if change.email is not None:
            user.email = clean_email(change.email)
        if change.role is not None:
            user.role = change.role
        if change.is_active is not None:
            user.is_active = change.is_active
        await self._users.save(user)
        forget(self._work, user_id)
        return read_user(user)

    async def delete(self, user_id: int) -> None:
        """Raises: UnknownUser, LastAdmin."""
        await self._leave_an_admin_besides(user_id)
        await self._work.session.delete(await self._locked(user_id))
        await self._work.session.flush()
        forget(self._work, user_id)

    async def reset_password(self, user_id: int) -> str:
        """The temporary password, to be changed at the next sign-in. Raises: UnknownUser."""
        password = temporary_password()
        password_hash = await self._passwords.hash(password)
        user = await self._locked(user_id)
        user.password_hash, user.must_change_password = password_hash, True
        return password

    async def replace_preferences(self, user_id: int, preferences: dict[str, Any]) -> dict[str, Any]:
        """Raises: UnknownUser, Invalid."""
        cleaned = clean_preferences(preferences)
        user = await self._locked(user_id)
        user.preferences = cleaned
        forget(self._work, user_id)
        return cleaned

    async def _add(self, name: str, email: str, password: str, *, must_change: bool) -> models.User:
        name, email = clean_name(name), clean_email(email)
        password_hash = await self._passwords.hash(password)
        user = await self._users.save(
            models.User(name=name, email=email, password_hash=password_hash, must_change_password=must_change)
        )
        forget(self._work, user.id)
        return user

    async def _locked(self, user_id: int) -> models.User:
        user = await self._users.locked(user_id)
        if user is None:
            raise UnknownUser(user_id)
        return user

    async def _leave_an_admin_besides(self, user_id: int) -> None:
        """To be called before any other lock. Until the end of the transaction nobody else can take an admin away."""
        if await self._users.lock_active_admins() == {user_id}:
            raise LastAdmin


def _refuse_rights(user: models.User, change: UserUpdate) -> None:
    if change.role not in (None, user.role):
        raise AdminsOnly("role")
    if change.is_active not in (None, user.is_active):
        raise AdminsOnly("is_active")
