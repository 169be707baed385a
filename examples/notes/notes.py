from pathlib import Path
from typing import Annotated, Any

from litestar import Controller, Litestar, Request, Response, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct, convert
from sqlalchemy import BigInteger, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from microdemo_core.auth import Principal, requires_user
from microdemo_core.cli import run
from microdemo_core.db import IdentityBase, Timestamps, fetch_page, page_response
from microdemo_core.dependencies import Caller, Page, Work
from microdemo_core.plugin import KernelPlugin
from microdemo_core.problems import NotFound
from microdemo_core.settings import Settings

MIGRATIONS = Path(__file__).with_name("migrations")


class NoteRow(Timestamps, IdentityBase):
    __tablename__ = "notes"
    __bind_key__ = "notes"
    user_id: Mapped[int] = mapped_column(BigInteger, index=True)
    text: Mapped[str] = mapped_column(Text)


class NoteCreate(Struct):
    text: Annotated[str, Meta(min_length=1, max_length=2000)]


class Note(Struct):
    id: int
    text: str


class NoteController(Controller):
    guards = (requires_user,)

    @get("/")
    async def list_notes(
        self, request: Request[Principal, Any, Any], uow: Work, principal: Caller, page: Page
    ) -> Response[list[Note]]:
        mine = select(NoteRow).where(NoteRow.user_id == principal.user_id)
        found = await fetch_page(
            uow.session, mine, page, key=NoteRow.id, sortable={"id": NoteRow.id}, default_sort="id"
        )
        return page_response(request, page, found, Note)

    @post("/")
    async def create_note(self, data: JSONBody[NoteCreate], uow: Work, principal: Caller) -> Note:
        row = NoteRow(user_id=principal.user_id, text=data.text)
        uow.session.add(row)
        await uow.session.flush()
        return convert(row, Note, from_attributes=True)

    @get("/{note_id:int}")
    async def get_note(self, note_id: FromPath[int], uow: Work, principal: Caller) -> Note:
        row = await uow.session.get(NoteRow, note_id)
        if row is None or not principal.may_act_for(row.user_id):
            raise NotFound(f"There is no note {note_id} of yours.")
        return convert(row, Note, from_attributes=True)


def create_app(settings: Settings | None = None) -> Litestar:
    kernel = KernelPlugin(settings or Settings.load(), name="notes", migrations=MIGRATIONS)
    return Litestar([NoteController], plugins=[kernel])


if __name__ == "__main__":
    run("notes", create_app, Settings, MIGRATIONS)
