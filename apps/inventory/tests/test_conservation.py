"""Conservation: available + held + sold is what the ledger says, after whatever was done."""

import random
from collections import defaultdict

import asyncpg
import httpx
import pytest

from .conftest import AddItem, Reserve, unbalanced

pytestmark = pytest.mark.anyio

STEPS = 250
SKUS = [f"S{number}" for number in range(6)]


class Model:
    """What a careful clerk would have in the books."""

    def __init__(self) -> None:
        self.stock: dict[str, int] = {}
        self.lines: dict[tuple[str, int], dict[str, int]] = {}
        self.state: dict[tuple[str, int], str] = {}
        self.ids: dict[str, int] = {}

    def reserve(self, pair: tuple[str, int], wanted: dict[str, int], replaces: int | None) -> str:
        if pair not in self.state:
            old = (pair[0], replaces) if replaces is not None else None
            lent: dict[str, int] = {}
            if old is not None:
                self.state.setdefault(old, "released")
                lent = self.lines.get(old, {})
            fits = all(
                sku in self.stock and self.stock[sku] + lent.get(sku, 0) >= quantity for sku, quantity in wanted.items()
            )
            self.state[pair] = "held" if fits else "refused"
            if fits:
                if old is not None:
                    self.release(old)
                for sku, quantity in wanted.items():
                    self.stock[sku] -= quantity
                self.lines[pair] = wanted
        return self.state[pair]

    def release(self, pair: tuple[str, int]) -> str:
        for sku, quantity in self.lines.pop(pair, {}).items():
            if sku in self.stock:
                self.stock[sku] += quantity
        if self.state.get(pair) != "refused":
            self.state[pair] = "released"
        return self.state[pair]

    def sell(self, pair: tuple[str, int]) -> str | None:
        if self.state.get(pair) == "held":
            self.state[pair] = "sold"
        return self.state.get(pair)

    def pieces(self, state: str) -> dict[str, int]:
        found: dict[str, int] = defaultdict(int)
        for pair, lines in self.lines.items():
            for sku, quantity in lines.items():
                found[sku] += quantity if self.state[pair] == state else 0
        return found


class Walk:
    """Random steps over the API, each checked against the model's answer."""

    def __init__(self, seed: int, client: httpx.AsyncClient, admin: dict[str, str], orders: dict[str, str]) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - a test's seed
        self.model = Model()
        self.client = client
        self.admin = admin
        self.orders = orders
        self.requests: dict[tuple[str, int], tuple[dict[str, int], int | None]] = {}

    def pair(self) -> tuple[str, int]:
        return f"o{self.rng.randint(1, 8)}", self.rng.randint(1, 6)

    async def reserve(self, reserve: Reserve) -> None:
        pair = self.pair()
        fresh = (
            {sku: self.rng.randint(1, 12) for sku in self.rng.sample(SKUS, self.rng.randint(1, 3))},
            self.rng.choice([None, *range(pair[1])]),
        )
        # Once asked, an epoch is asked the same again; a tombstone takes any request.
        wanted, replaces = self.requests.setdefault(pair, fresh)
        lines = [(sku, quantity, 1) for sku, quantity in wanted.items()]
        answer = await reserve(*pair, lines, prices="as_stated", replaces=replaces)
        assert answer.json()["state"] == self.model.reserve(pair, wanted, replaces)

    async def release(self) -> None:
        pair = self.pair()
        answer = await self.client.delete(f"/reservations/{pair[0]}/{pair[1]}", headers=self.orders)
        assert answer.json()["state"] == self.model.release(pair)

    async def sell(self) -> None:
        pair = self.pair()
        answer = await self.client.put(f"/reservations/{pair[0]}/{pair[1]}/sold", headers=self.orders)
        assert answer.status_code == {None: 404, "sold": 200}.get(self.model.sell(pair), 409)

    async def adjust(self) -> None:
        sku, delta = self.rng.choice(SKUS), self.rng.choice([-9, -1, 1, 9])
        path = f"/{self.model.ids.get(sku, 0)}/adjustments"
        answer = await self.client.post(path, json={"delta": delta, "reason": "x"}, headers=self.admin)
        if sku not in self.model.stock:
            assert answer.status_code == 404
        elif self.model.stock[sku] + delta < 0:
            assert answer.status_code == 409
        else:
            self.model.stock[sku] += delta
            assert answer.json()["qty"] == self.model.stock[sku]

    async def set(self, add_item: AddItem) -> None:
        sku, quantity = self.rng.choice(SKUS), self.rng.randint(0, 30)
        if sku in self.model.stock:
            await self.client.put(f"/{self.model.ids[sku]}", json={"qty": quantity}, headers=self.admin)
        else:
            self.model.ids[sku] = (await add_item(sku, quantity, price=1))["id"]
        self.model.stock[sku] = quantity

    async def load(self, sql: asyncpg.Connection) -> None:
        rows = {sku: self.rng.randint(0, 30) for sku in self.rng.sample(SKUS, 3)}
        file = "sku,qty\n" + "".join(f"{sku},{quantity}\n" for sku, quantity in rows.items())
        files = {"file": ("f.csv", file.encode(), "text/csv")}
        await self.client.post("/import/csv", files=files, headers=self.admin)
        self.model.stock |= rows
        self.model.ids |= {row["sku"]: row["id"] for row in await sql.fetch("SELECT sku, id FROM items")}

    async def delete(self) -> None:
        sku = self.rng.choice(SKUS)
        answer = await self.client.delete(f"/{self.model.ids.get(sku, 0)}", headers=self.admin)
        if sku not in self.model.stock:
            assert answer.status_code == 404
        elif self.model.pieces("held")[sku]:
            assert answer.status_code == 409
        else:
            assert answer.status_code == 204
            del self.model.stock[sku], self.model.ids[sku]

    async def rename(self) -> None:
        old, new = self.rng.sample(SKUS, 2)
        model = self.model
        answer = await self.client.put(f"/{model.ids.get(old, 0)}", json={"sku": new}, headers=self.admin)
        if old not in model.stock:
            assert answer.status_code == 404
        elif new in model.stock or any(old in lines for lines in model.lines.values()):
            assert answer.status_code == 409
        else:
            assert answer.status_code == 200
            model.stock[new], model.ids[new] = model.stock.pop(old), model.ids.pop(old)


@pytest.mark.parametrize("seed", range(4))
async def test_pieces_are_conserved(
    client: httpx.AsyncClient,
    admin: dict[str, str],
    orders: dict[str, str],
    add_item: AddItem,
    reserve: Reserve,
    sql: asyncpg.Connection,
    seed: int,
) -> None:
    """250 random steps over reservations, adjustments, imports, renames and deletions, with a model beside them."""
    walk = Walk(seed, client, admin, orders)
    steps = {
        lambda: walk.reserve(reserve): 10,
        walk.release: 4,
        walk.sell: 4,
        walk.adjust: 4,
        lambda: walk.set(add_item): 2,
        lambda: walk.load(sql): 1,
        walk.delete: 1,
        walk.rename: 1,
    }
    for step in walk.rng.choices(list(steps), list(steps.values()), k=STEPS):
        await step()
        assert await unbalanced(sql) == []

    model = walk.model
    held, sold = model.pieces("held"), model.pieces("sold")
    rows = await sql.fetch("SELECT sku, available, held, sold FROM stock_balances")
    books = {row["sku"]: (int(row["available"]), int(row["held"]), int(row["sold"])) for row in rows}
    for sku in SKUS:
        assert books.get(sku, (0, 0, 0)) == (model.stock.get(sku, 0), held[sku], sold[sku])
    # The walk went where there is something to see.
    assert {"held", "refused", "released", "sold"} <= set(model.state.values())
