"""Alembic, driven from the service: the revisions are its own, environment and lock are the kernel's."""

from pathlib import Path
from typing import Final

from advanced_alchemy.base import metadata_registry
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ("Migrations",)

_LOCK: Final = 0x6D6963726F  # "micro": one advisory lock per database, whatever the service


class Migrations:
    """The revisions in ``folder``/versions, against the metadata of ``bind_key``."""

    def __init__(self, bind_key: str, folder: Path) -> None:
        self._metadata = metadata_registry.get(bind_key)
        self._config = Config()
        self._config.set_main_option("script_location", str(Path(__file__).with_name("alembic")))
        # A separator of its own: a checkout's path may hold spaces and colons.
        self._config.set_main_option("path_separator", "newline")
        self._config.set_main_option("version_locations", str(folder / "versions").replace("%", "%%"))
        script = ScriptDirectory.from_config(self._config)
        self.head: str | None = script.get_current_head()
        self._older: set[str | None] = {None, *(step.revision for step in script.walk_revisions())} - {self.head}

    async def upgrade(self, engine: AsyncEngine, revision: str = "head") -> tuple[str | None, str | None]:
        """Old and new revision. One transaction under an advisory lock, so that replicas take turns."""
        async with engine.begin() as connection:
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            before = await connection.run_sync(_current)
            await connection.run_sync(self._run, "upgrade", revision)
            return before, await connection.run_sync(_current)

    async def revise(self, engine: AsyncEngine, message: str) -> None:
        """Writes a revision file with the difference between the models and the database."""
        async with engine.begin() as connection:
            await connection.run_sync(self._run, "revision", message)

    async def differences(self, engine: AsyncEngine) -> list[object]:
        """What the models say and the database does not; empty when they agree."""
        from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - only tests pay for it

        async with engine.connect() as connection:
            return await connection.run_sync(
                lambda sync: list(
                    compare_metadata(MigrationContext.configure(sync, opts={"compare_type": True}), self._metadata)
                )
            )

    async def are_behind(self, engine: AsyncEngine) -> bool:
        """False for a revision that this version does not know: the next version has migrated already."""
        async with engine.connect() as connection:
            return await connection.run_sync(_current) in self._older

    def _run(self, connection: Connection, action: str, argument: str) -> None:
        self._config.attributes.update(connection=connection, metadata=self._metadata)
        if action == "upgrade":
            command.upgrade(self._config, argument)
        else:
            command.revision(self._config, message=argument, autogenerate=True)


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
