"""What PostgreSQL would do for a statement, for tests that hold hot queries to their indexes.

    ...                                                   # 100,000 rows, as wide as real ones
    await vacuum(kernel.database, "users")
    async with statements_of(kernel.database) as sent:
        await client.get("/", headers=tokens.admin())
    for statement in sent:
        assert not (await plan_of(session, statement)).sequential_scans

Recording what the service really sends is worth more than a copy of its query in the test.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from sqlalchemy import ClauseElement, Executable, event, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from microdemo_core.db import Database

__all__ = ("Plan", "SentStatement", "plan_of", "statements_of", "vacuum")

_EXPLAIN: Final = "EXPLAIN (FORMAT JSON) "


class SentStatement(msgspec.Struct, frozen=True):
    """As the driver gets it: numbered parameters, and their values."""

    sql: str
    parameters: tuple[Any, ...]


class Plan:
    """``root`` is the top node of EXPLAIN's JSON."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self._nodes = list(_walk(root))

    @property
    def sequential_scans(self) -> list[str]:
        """The tables that would be read whole."""
        return [str(node["Relation Name"]) for node in self._nodes if node["Node Type"] == "Seq Scan"]

    @property
    def sorts(self) -> bool:
        """Whether rows are brought into order by sorting, wholly or in part."""
        return any(node["Node Type"] in {"Sort", "Incremental Sort"} for node in self._nodes)

    @property
    def indexes(self) -> set[str]:
        return {str(node["Index Name"]) for node in self._nodes if "Index Name" in node}

    def uses_index(self, name: str) -> bool:
        return name in self.indexes

    def __repr__(self) -> str:
        """The nodes, one per line, as pytest shows them."""
        return "\n".join(
            " ".join(str(node[key]) for key in ("Node Type", "Relation Name", "Index Name") if key in node)
            for node in self._nodes
        )


async def plan_of(session: AsyncSession, statement: Executable | SentStatement) -> Plan:
    """Does not run the statement."""
    if isinstance(statement, SentStatement):
        connection = await session.connection()
        found = (await connection.exec_driver_sql(_EXPLAIN + statement.sql, statement.parameters)).scalar_one()
    else:
        found = await session.scalar(_Explain(statement))
    return Plan(found[0]["Plan"])


async def vacuum(database: Database, *tables: str) -> None:
    """Statistics and visibility as autovacuum leaves them; without, the planner guesses and shuns index-only scans.

    The test server commits without waiting for its log, and rows whose commit is not logged yet are visible to all
    only for those who look; one commit that waits flushes the log for the others.
    """
    async with database.unit_of_work() as work:
        await work.session.execute(text("SET LOCAL synchronous_commit = on"))
        await work.session.execute(text("SELECT pg_logical_emit_message(true, 'vacuum', '')"))
    async with database.single_statement() as work:
        await work.session.execute(text(f"VACUUM (ANALYZE) {', '.join(tables)}"))


@asynccontextmanager
async def statements_of(database: Database) -> AsyncIterator[list[SentStatement]]:
    """Collects what any session of ``database`` sends meanwhile; of many rows at once, the first."""
    sent: list[SentStatement] = []

    def note(*arguments: Any) -> None:
        _, _, sql, parameters, _, is_many = arguments
        sent.append(SentStatement(sql, tuple(parameters[0] if is_many else parameters)))

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


class _Explain(Executable, ClauseElement):
    inherit_cache = False

    def __init__(self, statement: Executable) -> None:
        self.statement = statement


@compiles(_Explain, "postgresql")
def _compile_explain(element: _Explain, compiler: SQLCompiler, **kw: Any) -> str:
    return _EXPLAIN + str(compiler.process(element.statement, **kw))  # type: ignore[arg-type]  # it is a ClauseElement


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _walk(child)
