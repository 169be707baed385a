"""What goes over the wire. Lengths are checked here; what a length cannot say, by :mod:`microdemo_users.texts`."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

__all__ = (
    "AccessToken",
    "AccountState",
    "CreatedUser",
    "Email",
    "Login",
    "Name",
    "NewPassword",
    "PasswordChange",
    "PreferencesUpdate",
    "Registration",
    "Role",
    "SignupDay",
    "Signups",
    "Summary",
    "TemporaryPassword",
    "User",
    "UserCreate",
    "UserUpdate",
)

Role = Literal["user", "admin"]

Name = Annotated[str, Meta(min_length=1, max_length=200, examples=["Bob"])]
Email = Annotated[str, Meta(min_length=3, max_length=254, examples=["bob@example.com"])]
NewPassword = Annotated[str, Meta(min_length=8, max_length=256)]


class User(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    email: str
    role: Role
    is_active: bool
    preferences: dict[str, Any]
    created_at: datetime


class CreatedUser(User, frozen=True, kw_only=True):
    """``temp_password`` is there once, and only if the request gave no password."""

    temp_password: str | UnsetType = UNSET


class AccountState(Struct, frozen=True):
    """What a :class:`User` says about the rights of its own token."""

    role: Role
    is_active: bool


class Registration(Struct, frozen=True):
    name: Name
    email: Email
    password: NewPassword


class Login(Struct, frozen=True):
    """No lengths: whatever is no account's address or password is a 401 like any other."""

    email: str
    password: str


class AccessToken(Struct, frozen=True):
    """``expires_in`` is in seconds."""

    access_token: str
    expires_in: int
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a scheme


class UserCreate(Struct, frozen=True):
    name: Name
    email: Email
    password: NewPassword | None = None


class UserUpdate(Struct, frozen=True):
    """None is no change, as it was in the first version; ``role`` and ``is_active`` are an admin's to change."""

    name: Name | None = None
    email: Email | None = None
    role: Role | None = None
    is_active: bool | None = None


class PreferencesUpdate(Struct, frozen=True):
    preferences: dict[str, Any]


class PasswordChange(Struct, frozen=True):
    current_password: str
    new_password: NewPassword


class TemporaryPassword(Struct, frozen=True):
    temp_password: str


class Summary(Struct, frozen=True):
    total_users: int
    active_users: int
    inactive_users: int
    role_breakdown: dict[str, int]
    recent_signups_7d: int


class SignupDay(Struct, frozen=True):
    """``date`` is a day in UTC."""

    date: date
    signups: int


class Signups(Struct, frozen=True):
    days: int
    series: list[SignupDay]
