"""Alembic's environment for every service; :mod:`microdemo_core.db.migrations` hands the connection in."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=context.config.attributes["metadata"],
    compare_server_default=True,
    # All or nothing: a failing migration leaves the schema as it was.
    transaction_per_migration=False,
)
context.run_migrations()
