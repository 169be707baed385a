"""What every handler may ask for by name, and the short ways to write it.

async def create_note(self, data: JSONBody[NoteCreate], uow: Work, principal: Caller) -> Note: ...
"""

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.enums import HttpMethod

from microdemo_core.auth.principal import Principal
from microdemo_core.db import Database, PageRequest, UnitOfWork

__all__ = ("Caller", "Page", "Work", "provide_arguments", "provide_principal", "provide_unit_of_work")

Work: TypeAlias = NamedDependency[UnitOfWork]
Caller: TypeAlias = NamedDependency[Principal]
Page: TypeAlias = NamedDependency[PageRequest]

_READS = frozenset({HttpMethod.GET, HttpMethod.HEAD})


async def provide_arguments() -> None:
    """Nothing, but first: Litestar resolves what depends on it one round later than a request's other arguments."""


async def provide_unit_of_work(
    request: Request[Any, Any, Any],
    state: State,
    arguments: NamedDependency[None],  # noqa: ARG001
) -> AsyncIterator[UnitOfWork]:
    """The request's one generator dependency: with two, Litestar groups a failed commit into a generic 500.

    It waits for the other arguments, since Litestar would cancel a half-entered generator when one of them is wrong.
    """
    database: Database = state.database
    async with database.unit_of_work(read_only=request.method in _READS) as work:
        yield work


async def provide_principal(request: Request[Principal, Any, Any]) -> Principal:
    return request.user
