"""What asks for a password. Verifying takes 30 ms and a queue, so it never happens inside a unit of work."""

from microdemo_core.auth import Passwords, TokenSigner
from microdemo_core.db import Database
from microdemo_users import models
from microdemo_users.errors import PasswordChangedMeanwhile, WrongCredentials, WrongCurrentPassword
from microdemo_users.repository import UserRepository
from microdemo_users.schemas import AccessToken, Login, PasswordChange
from microdemo_users.texts import is_email

__all__ = ("SignIn",)


class SignIn:
    def __init__(self, database: Database, passwords: Passwords, signer: TokenSigner, token_seconds: int) -> None:
        self._database = database
        self._passwords = passwords
        self._signer = signer
        self._token_seconds = token_seconds

    def token_for(self, account: models.User) -> AccessToken:
        token = self._signer.user_token(
            account.id,
            account.role,
            lifetime_seconds=self._token_seconds,
            must_change_password=account.must_change_password,
        )
        return AccessToken(token, self._token_seconds)

    async def check(self, login: Login) -> models.User:
        """The account that may sign in.

        Raises:
            WrongCredentials: Unknown address, wrong password, no password, or deactivated: one hash is computed and
                one sentence answered for all of them.
        """
        account = await self._find(login.email.strip())
        may = account is not None and account.is_active
        verified = await self._passwords.verify(account.password_hash if account and may else None, login.password)
        if account is None or not verified.ok:
            raise WrongCredentials
        if verified.rehashed is not None:
            async with self._database.unit_of_work() as work:
                await UserRepository(session=work.session).replace_password(
                    account.id,
                    old=account.password_hash,
                    new=verified.rehashed,
                    must_change=account.must_change_password,
                )
        return account

    async def change_password(self, user_id: int, wanted: PasswordChange) -> None:
        """Raises: WrongCurrentPassword, PasswordChangedMeanwhile."""
        async with self._database.unit_of_work(read_only=True) as work:
            stored = await UserRepository(session=work.session).password_hash(user_id)
        if not (await self._passwords.verify(stored, wanted.current_password)).ok:
            raise WrongCurrentPassword
        fresh = await self._passwords.hash(wanted.new_password)
        async with self._database.unit_of_work() as work:
            users = UserRepository(session=work.session)
            if not await users.replace_password(user_id, old=stored, new=fresh, must_change=False):
                raise PasswordChangedMeanwhile

    async def _find(self, email: str) -> models.User | None:
        if not is_email(email):
            return None
        async with self._database.unit_of_work(read_only=True) as work:
            return await UserRepository(session=work.session).with_email(email)
