"""Errors of the libraries we use, as the caller sees them."""

from typing import Annotated

import httpx
import notes
import pytest
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from litestar import Litestar, post
from litestar.params import FromPath, HeaderParameter, QueryParameter
from sqlalchemy import text

from microdemo_core.auth import PUBLIC
from microdemo_core.dependencies import Work
from microdemo_core.plugin import KernelPlugin
from microdemo_core.settings import Settings
from microdemo_core.testing.service import ServiceUnderTest

pytestmark = pytest.mark.anyio


class Notes(SQLAlchemyAsyncRepository[notes.NoteRow]):
    model_type = notes.NoteRow


@post("/cut-off", opt=PUBLIC)
async def cut_off(uow: Work) -> None:
    """What a restart of PostgreSQL does to a statement on its way."""
    await uow.session.execute(text("SET LOCAL application_name = 'cut off'"))
    async with uow.session.bind.connect() as other:  # type: ignore[union-attr]  # bound to the engine
        await other.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut off'")
        )
    await Notes(session=uow.session).get_one_or_none(notes.NoteRow.id == 1)


@post("/find/{note_id:int}", opt=PUBLIC)
async def find(note_id: FromPath[int], uow: Work) -> None:
    await Notes(session=uow.session).get_one_or_none(notes.NoteRow.id == note_id)


@post("/twice", opt=PUBLIC)
async def twice(uow: Work) -> None:
    for _ in range(2):
        await Notes(session=uow.session).add(notes.NoteRow(id=1, user_id=1, text="the same"))
        uow.session.expunge_all()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/cut-off", 503), (f"/find/{2**63}", 422), ("/twice", 409)],
    ids=["a lost connection", "a number no column holds", "a key that is taken"],
)
async def test_a_repositorys_errors_mean_what_the_driver_said(
    settings: Settings, service: ServiceUnderTest, path: str, status: int
) -> None:
    """Only what contradicts stored data is a 409, though advanced-alchemy calls all of these integrity errors."""
    kernel = KernelPlugin(settings, name="notes", migrations=service.migrations)
    app = Litestar([cut_off, find, twice], plugins=[kernel])
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:  # type: ignore[arg-type]  # ASGI is ASGI
        answer = await client.post(path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert ("retry-after" in answer.headers) is (status == 503)


@post("/named", opt=PUBLIC)
async def named(
    begin: Annotated[int, QueryParameter(name="from")] = 0,
    idempotency_key: Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=3)] = None,
) -> None: ...


@pytest.mark.parametrize(
    ("query", "headers", "field"), [("?from=x", {}, "from"), ("", {"Idempotency-Key": "long"}, "Idempotency-Key")]
)
async def test_a_wrong_parameter_is_called_what_the_client_calls_it(
    settings: Settings, service: ServiceUnderTest, query: str, headers: dict[str, str], field: str
) -> None:
    """Not what the handler does."""
    kernel = KernelPlugin(settings, name="notes", migrations=service.migrations)
    app = Litestar([named], plugins=[kernel])
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:  # type: ignore[arg-type]  # ASGI is ASGI
        answer = await client.post(f"/named{query}", headers=headers)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert answer.json()["detail"].startswith(f"{field}: ")
