"""The same order again: by the client's own id, and by Idempotency-Key."""

import asyncio

import asyncpg
import httpx
import pytest

from .conftest import Place, Shelves

pytestmark = pytest.mark.anyio

Headers = dict[str, str]


async def test_the_same_id_and_content(place: Place, shelves: Shelves) -> None:
    """Answers the same order while it is unchanged, and takes no more pieces."""
    await shelves.add("SKU-1", 10)
    first = await place(("SKU-1", 2), id="ORD-1")
    again = await place(("SKU-1", 2), id="ORD-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert await shelves.left("SKU-1") == 8


async def test_the_same_id_otherwise(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers, eve: Headers
) -> None:
    """Other content, another caller, or a changed order: 409, and nobody learns whose it is."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1")
    for answer in (await place(("SKU-1", 3), id="ORD-1"), await place(("SKU-1", 2), id="ORD-1", by=eve)):
        assert (answer.status_code, answer.json()["detail"]) == (409, "An order ORD-1 already exists.")
    await client.put("/ORD-1", json={"status": "cancelled"}, headers=bob)
    assert (await place(("SKU-1", 2), id="ORD-1")).status_code == 409


async def test_a_deleted_id_is_never_given_again(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers
) -> None:
    """409, with the same content too."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), id="ORD-1")
    assert (await client.delete("/ORD-1", headers=bob)).status_code == 204
    assert (await place(("SKU-1", 2), id="ORD-1")).status_code == 409
    assert await shelves.left("SKU-1") == 10


async def test_an_id_after_a_refusal(place: Place, shelves: Shelves, eve: Headers) -> None:
    """It is free for a corrected body, and for anybody."""
    await shelves.add("SKU-1", 3)
    assert (await place(("SKU-1", 5), id="ORD-1")).status_code == 409
    assert (await place(("SKU-1", 5), id="ORD-1")).status_code == 409
    assert (await place(("SKU-1", 3), id="ORD-1", by=eve)).status_code == 201
    assert await shelves.reservations("ORD-1") == {1: "refused", 2: "refused", 3: "held"}


async def test_the_same_key(place: Place, shelves: Shelves, eve: Headers) -> None:
    """Answers the very same bytes for the same body, 422 for another; keys are each caller's own."""
    await shelves.add("SKU-1", 10)
    first = await place(("SKU-1", 2), key="k")
    again = await place(("SKU-1", 2), key="k")
    assert first.status_code == 201
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    other = await place(("SKU-1", 3), key="k")
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    hers = await place(("SKU-1", 3), key="k", by=eve)
    assert hers.status_code == 201
    assert await shelves.left("SKU-1") == 5


async def test_the_first_answer_stays_the_answer(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers
) -> None:
    """A key repeats what was said, even when the order has changed since."""
    await shelves.add("SKU-1", 10)
    first = await place(("SKU-1", 2), key="k")
    await client.put(f"/{first.json()['id']}", json={"status": "cancelled"}, headers=bob)
    assert (await place(("SKU-1", 2), key="k")).content == first.content


async def test_an_error_claims_no_key(place: Place, shelves: Shelves) -> None:
    """After 409 and 422 the same key carries a corrected body."""
    await shelves.add("SKU-1", 3)
    assert (await place(("SKU-1", 5), key="k")).status_code == 409
    assert (await place(("NOPE", 1), key="k")).status_code == 422
    assert (await place(("SKU-1", 0), key="k")).status_code == 422
    assert (await place(("SKU-1", 3), key="k")).status_code == 201


async def test_a_key_lives_a_day(place: Place, shelves: Shelves, sql: asyncpg.Connection) -> None:
    """After 24 hours it is free for any body."""
    await shelves.add("SKU-1", 10)
    await place(("SKU-1", 2), key="k")
    await sql.execute("UPDATE idempotency_keys SET created_at = created_at - interval '24 hours'")
    answer = await place(("SKU-1", 3), key="k")
    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers


@pytest.mark.parametrize("key", [" ", "a b", "x" * 256, "é"])
async def test_a_key_that_is_none(client: httpx.AsyncClient, bob: Headers, key: str) -> None:
    """422 names the header."""
    headers = {**bob, "Idempotency-Key": key.encode()}
    body = {"items": [{"sku": "A", "quantity": 1}]}
    answer = await client.post("/", json=body, headers=headers)  # type: ignore[arg-type]  # bytes are fine
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("by_key", [True, False])
async def test_concurrent_twins_make_one_effect(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, bob: Headers, *, by_key: bool
) -> None:
    """Eight at once: one order, one reservation, one event, and no answer but that order."""
    await shelves.add("SKU-1", 10)
    claim = {"key": "k"} if by_key else {"id": "ORD-1"}
    answers = await asyncio.gather(*(place(("SKU-1", 2), **claim) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    (order_id,) = {answer.json()["id"] for answer in answers}
    assert await shelves.left("SKU-1") == 8
    timeline = (await client.get(f"/{order_id}/timeline", headers=bob)).json()
    assert [event["event_type"] for event in timeline] == ["order_created"]


async def test_concurrent_twins_that_are_refused(place: Place, shelves: Shelves) -> None:
    """Eight at once for too many pieces: each is a 409, and the key is free afterwards."""
    await shelves.add("SKU-1", 1)
    answers = await asyncio.gather(*(place(("SKU-1", 2), key="k") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {409}
    assert (await place(("SKU-1", 1), key="k")).status_code == 201


async def test_strangers_race_for_an_id(place: Place, shelves: Shelves, bob: Headers, eve: Headers) -> None:
    """One gets it, the other is told that it exists."""
    await shelves.add("SKU-1", 10)
    answers = await asyncio.gather(*(place(("SKU-1", 1), id="ORD-1", by=who) for who in (bob, eve)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert await shelves.left("SKU-1") == 9


async def test_an_id_that_an_import_has_taken(
    client: httpx.AsyncClient, place: Place, shelves: Shelves, ada: Headers, people: dict[str, int]
) -> None:
    """Bob's order was refused and Eve's took its id: the same request of Bob's does not tell him hers."""
    await shelves.add("SKU-1", 1)
    assert (await place(("SKU-1", 5), id="ORD-1")).status_code == 409
    lines = '"[{""sku"":""SKU-1"",""quantity"":1,""price"":""7.00""}]"'
    rows = f"id,user_id,total,status,items_json\nORD-1,{people['Eve']},7.00,completed,{lines}\n"
    report = await client.post("/import/csv", files={"file": ("o.csv", rows, "text/csv")}, headers=ada)
    assert report.json()["created_count"] == 1, report.text
    again = await place(("SKU-1", 5), id="ORD-1")
    assert (again.status_code, again.json()["detail"]) == (409, "An order ORD-1 already exists.")
