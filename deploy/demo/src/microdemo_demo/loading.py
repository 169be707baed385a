"""COPY, by the models' columns."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
from sqlalchemy.orm import InstrumentedAttribute

__all__ = ("copy_rows", "tidy_up")


async def copy_rows(
    connection: asyncpg.Connection, columns: Sequence[InstrumentedAttribute[Any]], rows: Iterable[tuple[Any, ...]]
) -> None:
    """Into the table of the first column's model; what the other columns are is the table's own affair."""
    await connection.copy_records_to_table(
        columns[0].class_.__tablename__, columns=[column.key for column in columns], records=rows
    )


async def tidy_up(connection: asyncpg.Connection, *models: Any) -> None:
    """Statistics and visibility maps, as autovacuum would make them in a while: the first reads are as fast as any."""
    await connection.execute(f"VACUUM (ANALYZE) {', '.join(model.__tablename__ for model in models)}")
