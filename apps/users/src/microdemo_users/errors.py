"""The service's own conditions.

Problem
├── Unauthenticated 401
│   ├── WrongCredentials    one sentence for all that keeps somebody from signing in
│   └── AccountClosed       the token's account was deactivated or deleted
├── Forbidden 403
│   ├── NotYourAccount
│   └── AdminsOnly          role and is_active are not one's own to change
├── NotFound 404
│   └── UnknownUser
├── Conflict 409
│   ├── EmailTaken
│   ├── LastAdmin
│   ├── PasswordChangedMeanwhile
│   └── ImportRunning
└── Invalid 422
    └── WrongCurrentPassword
"""

from microdemo_core.problems import Conflict, FieldError, Forbidden, Invalid, NotFound, Unauthenticated

__all__ = (
    "AccountClosed",
    "AdminsOnly",
    "EmailTaken",
    "ImportRunning",
    "LastAdmin",
    "NotYourAccount",
    "PasswordChangedMeanwhile",
    "UnknownUser",
    "WrongCredentials",
    "WrongCurrentPassword",
)


class WrongCredentials(Unauthenticated):
    """No account with this address and password may sign in; which of the two is wrong is not told."""

    def __init__(self) -> None:
        super().__init__("Email address or password is wrong.")


class AccountClosed(Unauthenticated):
    """The token is good, its account is not: deactivated or deleted."""

    def __init__(self) -> None:
        super().__init__("This account is not active any more. Ask an admin.")


class NotYourAccount(Forbidden):
    """Another's account, and the caller is no admin."""

    def __init__(self) -> None:
        super().__init__("This is another person's account.")


class AdminsOnly(Forbidden):
    """The field was to change, and the caller is no admin."""

    def __init__(self, field: str) -> None:
        super().__init__(f"Only an admin may change {field}.", field=field)


class UnknownUser(NotFound):
    """There is no account with this id."""

    def __init__(self, user_id: int) -> None:
        super().__init__(f"There is no user {user_id}.")


class EmailTaken(Conflict):
    """Another account has this address; case does not count."""

    def __init__(self) -> None:
        super().__init__("There is an account with this email address already.")


class LastAdmin(Conflict):
    """Nobody would be left to administrate."""

    def __init__(self) -> None:
        super().__init__("This is the last active admin: make somebody else admin first.")


class PasswordChangedMeanwhile(Conflict):
    """Two changes at once; the other one stands."""

    def __init__(self) -> None:
        super().__init__("The password was changed at the same time elsewhere. Sign in again.")


class ImportRunning(Conflict):
    """One import at a time, since two could lock the same accounts in different orders."""

    def __init__(self) -> None:
        super().__init__("Another import is running. Try again when it is done.")


class WrongCurrentPassword(Invalid):
    """422 and not 401: the token is good, and clients sign out on a 401."""

    def __init__(self) -> None:
        message = "this is not your current password"
        super().__init__(f"current_password: {message}.", errors=[FieldError("current_password", message)])
