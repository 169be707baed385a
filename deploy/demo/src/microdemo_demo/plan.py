"""What is in a batch: orders with their lines and all that has happened to them. Pure, and the same at every run."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from microdemo_demo.batches import Batch, order_id
from microdemo_demo.catalogue import ARTICLES, Article
from microdemo_demo.rhythm import moments
from microdemo_orders.machine import Saga, SettableStatus, landing

__all__ = ("Buyer", "Line", "Order", "Step", "plan")

_SEED: Final = "microdemo"
_CANCELLED_SHARE: Final = 0.07
_AT_A_TIME: Final = (0.40, 0.78, 1.0)
"""Of all orders, those with at most one, two and three lines."""
_CHEAP, _MODEST = Decimal(9), Decimal(20)

# How long an order stays in a status, in hours: from, to. The next one follows.
_STAYS: Final[tuple[tuple[SettableStatus, float, float], ...]] = (
    ("processing", 3, 40),
    ("shipped", 6, 52),
    ("delivered", 20, 96),
    ("completed", 48, 240),
)
_SETTLED: Final[dict[Saga, Saga]] = {"held": "held", "selling": "sold", "releasing": "released"}
_DEMAND: Final = tuple(accumulate(article.demand for article in ARTICLES))


class Buyer(NamedTuple):
    """An account that may order, and since when; who stands in a list twice orders twice as much."""

    since: datetime
    user_id: int


class Line(NamedTuple):
    article: Article
    quantity: int


class Step(NamedTuple):
    at: datetime
    status: SettableStatus


class Order(NamedTuple):
    """``steps`` begins with the order's creation."""

    id: str
    user_id: int
    lines: list[Line]
    steps: list[Step]

    @property
    def status(self) -> SettableStatus:
        return self.steps[-1].status

    @property
    def saga(self) -> Saga:
        """Held, sold or released: nothing is left to be said to inventory."""
        return _SETTLED[landing(self.status)]

    @property
    def total(self) -> Decimal:
        return sum((line.article.price * line.quantity for line in self.lines), Decimal(0))


def plan(batch: Batch, buyers: Sequence[Buyer]) -> Iterator[Order]:
    """The batch's orders, earliest first. ``buyers`` are in the order of their signing up, and at least one."""
    rng = Random(f"{_SEED}:{batch.first}")  # noqa: S311 - it has to be foreseeable
    since = [buyer.since for buyer in buyers]
    for number, placed in enumerate(moments(batch.size, batch.days, batch.anchor, rng), start=batch.first):
        known = max(bisect_right(since, placed), 1)
        buyer = buyers[int(rng.random() * known)]
        yield Order(order_id(number), buyer.user_id, _lines(rng), _steps(placed, batch.anchor, rng))


def _lines(rng: Random) -> list[Line]:
    """One to three articles, more pieces of what costs little, so that no order dwarfs a day's others."""
    count = 1 + bisect_right(_AT_A_TIME, rng.random())
    chosen: dict[str, Article] = {}
    while len(chosen) < count:
        article = ARTICLES[bisect_right(_DEMAND, rng.random() * _DEMAND[-1])]
        chosen[article.sku] = article
    return [Line(article, _quantity(article, rng.random())) for article in chosen.values()]


def _quantity(article: Article, chance: float) -> int:
    if article.price < _CHEAP:
        return 2 + int(chance * 4)
    if article.price < _MODEST:
        return 1 + int(chance * 3)
    return 1 + int(chance * 1.15)


def _steps(placed: datetime, anchor: datetime, rng: Random) -> list[Step]:
    """What happens to every order, as far as it has happened at the anchor."""
    steps = [Step(placed, "pending")]
    stays = _STAYS
    if rng.random() < _CANCELLED_SHARE:
        # Half of them while pending, half while it is packed.
        kept = int(rng.random() * 2)
        stays = (*_STAYS[:kept], ("cancelled", 1, 20))
    at = placed
    for status, shortest, longest in stays:
        at += timedelta(hours=shortest + (longest - shortest) * rng.random())
        if at > anchor:
            break
        steps.append(Step(at, status))
    return steps
