"""The HTTP side. Static paths win over ``/{user_id}``, which takes numbers only."""

import hashlib
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Request, Response, delete, get, post, put
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from microdemo_core.auth import (
    PUBLIC,
    Principal,
    requires_admin,
    requires_user,
    requires_user_or_service,
)
from microdemo_core.bodies import encoded_response
from microdemo_core.conditional import IfNoneMatch, conditional_response, entity_tag
from microdemo_core.csv import (
    ImportReport,
    csv_import_route,
    csv_response,
    read_upload,
)
from microdemo_core.db import Database, encoded_page_response
from microdemo_core.dependencies import Caller, Page, Work
from microdemo_core.openapi import problems
from microdemo_users.accounts import Accounts
from microdemo_users.analytics import MAX_DAYS, Analytics
from microdemo_users.directory import Directory
from microdemo_users.errors import (
    AdminsOnly,
    EmailTaken,
    ImportRunning,
    LastAdmin,
    NotYourAccount,
    PasswordChangedMeanwhile,
    UnknownUser,
    WrongCredentials,
    WrongCurrentPassword,
)
from microdemo_users.schemas import (
    AccessToken,
    CreatedUser,
    Login,
    PasswordChange,
    PreferencesUpdate,
    Registration,
    Role,
    Signups,
    Summary,
    TemporaryPassword,
    User,
    UserCreate,
    UserUpdate,
)
from microdemo_users.sign_in import SignIn
from microdemo_users.transfer import EXPORTED, UserImport, UserRow, export_rows

__all__ = (
    "AccountController",
    "AnalyticsController",
    "EntryController",
    "OwnAccountController",
    "TransferController",
)

IMPORT_SECONDS: Final = 60
"""100,000 rows, the most a file may have, took 8 to 14 s on two shared cores."""

_Days = Annotated[int, QueryParameter(description=f"How many days up to today: 1 to {MAX_DAYS}, clamped.")]
_Search = Annotated[str | None, QueryParameter(max_length=100, description="Part of a name or of an address.")]


class EntryController(Controller):
    """Public: how one gets a token."""

    tags = ("sign-in",)
    opt = PUBLIC

    @post("/register", summary="Register", operation_id="register", responses=problems(EmailTaken))
    async def register(
        self,
        data: JSONBody[Registration],
        accounts: NamedDependency[Accounts],
        sign_in: NamedDependency[SignIn],
    ) -> AccessToken:
        return sign_in.token_for(await accounts.register(data))

    @post("/login", summary="Sign in", operation_id="login", status_code=200, responses=problems(WrongCredentials))
    async def login(self, data: JSONBody[Login], sign_in: NamedDependency[SignIn]) -> AccessToken:
        return sign_in.token_for(await sign_in.check(data))


class OwnAccountController(Controller):
    path = "/me"
    tags = ("own account",)
    guards = (requires_user,)

    @get("/", summary="Own account", operation_id="get_me")
    async def get_me(self, own_account: NamedDependency[bytes], if_none_match: IfNoneMatch = None) -> Response[User]:
        return _account(if_none_match, own_account)

    @get("/preferences", summary="Own preferences", operation_id="get_preferences", sync_to_thread=False)
    def get_preferences(self, own_account: NamedDependency[bytes]) -> dict[str, Any]:
        return msgspec.json.decode(own_account, type=User).preferences

    @put("/preferences", summary="Replace own preferences", operation_id="replace_preferences")
    async def replace_preferences(
        self, data: JSONBody[PreferencesUpdate], accounts: NamedDependency[Accounts], principal: Caller
    ) -> dict[str, Any]:
        return await accounts.replace_preferences(principal.user_id, data.preferences)

    @post(
        "/password",
        summary="Change own password",
        operation_id="change_password",
        status_code=204,
        responses=problems(WrongCurrentPassword, PasswordChangedMeanwhile),
    )
    async def change_password(
        self, data: JSONBody[PasswordChange], sign_in: NamedDependency[SignIn], principal: Caller
    ) -> None:
        await sign_in.change_password(principal.user_id, data)


class AccountController(Controller):
    tags = ("accounts",)

    @get("/", summary="List accounts", operation_id="list_users", guards=[requires_admin])
    async def list_users(
        self,
        request: Request[Principal, Any, Any],
        directory: NamedDependency[Directory],
        page: Page,
        q: _Search = None,
        role: FromQuery[Role | None] = None,
        is_active: FromQuery[bool | None] = None,
    ) -> Response[list[User]]:
        found = await directory.page(page, q=q, role=role, is_active=is_active)
        return encoded_page_response(request, page, found)

    @post(
        "/",
        summary="Create an account",
        operation_id="create_user",
        guards=[requires_admin],
        responses=problems(EmailTaken),
    )
    async def create_user(self, data: JSONBody[UserCreate], accounts: NamedDependency[Accounts]) -> CreatedUser:
        """Without a password it gets a temporary one, which is answered this once."""
        return await accounts.create(data)

    @get(
        "/{user_id:int}",
        summary="Get an account",
        operation_id="get_user",
        guards=[requires_user_or_service],
        responses=problems(NotYourAccount, UnknownUser),
    )
    async def get_user(
        self,
        user_id: FromPath[int],
        directory: NamedDependency[Directory],
        principal: Caller,
        if_none_match: IfNoneMatch = None,
    ) -> Response[User]:
        if principal.role != "service" and not principal.may_act_for(user_id):
            raise NotYourAccount
        account = await directory.account.encoded(user_id)
        if account is None:
            raise UnknownUser(user_id)
        return _account(if_none_match, account)

    @put(
        "/{user_id:int}",
        summary="Change an account",
        operation_id="update_user",
        guards=[requires_user],
        responses=problems(NotYourAccount, AdminsOnly, UnknownUser, EmailTaken, LastAdmin),
    )
    async def update_user(
        self, user_id: FromPath[int], data: JSONBody[UserUpdate], accounts: NamedDependency[Accounts], principal: Caller
    ) -> User:
        return await accounts.update(user_id, data, by=principal)

    @delete(
        "/{user_id:int}",
        summary="Delete an account",
        operation_id="delete_user",
        guards=[requires_admin],
        responses=problems(UnknownUser, LastAdmin),
    )
    async def delete_user(self, user_id: FromPath[int], accounts: NamedDependency[Accounts]) -> None:
        await accounts.delete(user_id)

    @post(
        "/{user_id:int}/reset_password",
        summary="Give an account a temporary password",
        operation_id="reset_password",
        guards=[requires_admin],
        status_code=200,
        responses=problems(UnknownUser),
    )
    async def reset_password(self, user_id: FromPath[int], accounts: NamedDependency[Accounts]) -> TemporaryPassword:
        return TemporaryPassword(await accounts.reset_password(user_id))


class AnalyticsController(Controller):
    path = "/analytics"
    tags = ("analytics",)
    guards = (requires_user,)

    @get("/", summary="Head counts", operation_id="get_analytics")
    async def get_analytics(self, analytics: NamedDependency[Analytics]) -> Response[Summary]:
        return encoded_response(await analytics.summary.encoded())

    @get("/timeseries", summary="Sign-ups per day", operation_id="get_signups")
    async def get_signups(self, analytics: NamedDependency[Analytics], days: _Days = 30) -> Response[Signups]:
        return encoded_response(await analytics.signups(days))


class TransferController(Controller):
    tags = ("csv",)
    guards = (requires_admin,)

    @get("/export/csv", summary="Export accounts", operation_id="export_users", media_type="text/csv")
    async def export_users(self, database: NamedDependency[Database]) -> Stream:
        return csv_response("users.csv", EXPORTED, export_rows(database))

    @csv_import_route(
        "/import/csv",
        summary="Import accounts",
        operation_id="import_users",
        deadline_seconds=IMPORT_SECONDS,
        responses=problems(ImportRunning),
    )
    async def import_users(
        self,
        upload: NamedDependency[UploadFile],
        uow: Work,
        dry_run: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
    ) -> ImportReport:
        """Columns name, email, role?, is_active?. Accounts are matched by address; new ones have no password."""
        reader = await read_upload(upload, UserRow)
        run = UserImport(uow, reader)
        await run.execute(dry_run=dry_run)
        return reader.report(
            ImportReport,
            created_count=run.created,
            updated_count=run.updated,
            skipped_count=run.unchanged,
            dry_run=dry_run,
        )


def _account(if_none_match: str | None, account: bytes) -> Response[Any]:
    """An account has no version to make a tag of; hashing its 200 bytes takes 1 µs."""
    tag = entity_tag(hashlib.blake2b(account, digest_size=12).hexdigest())
    return conditional_response(if_none_match, account, tag)
