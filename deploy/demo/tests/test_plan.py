"""What the demo consists of, before any database."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from microdemo_demo.batches import DEFAULT_ORDERS, MOST_ORDERS, Batch, missing_batches, order_id
from microdemo_demo.catalogue import ARTICLES
from microdemo_demo.history import _events
from microdemo_demo.people import PEOPLE, shoppers
from microdemo_demo.plan import Buyer, Order, plan
from microdemo_inventory.repository import LOW_STOCK
from microdemo_orders import events
from microdemo_orders.forecast import forecast
from microdemo_orders.intent import Actor
from microdemo_orders.machine import STATUS_STEPS
from microdemo_orders.models import OrderRow
from microdemo_orders.schemas import Item

MONDAY = datetime(2026, 11, 16, 12, 34, 56, tzinfo=UTC)
WEEK = [MONDAY + timedelta(days=days) for days in range(7)]


def _plan(anchor: datetime = MONDAY, *, first: int = 1, last: int = DEFAULT_ORDERS) -> list[Order]:
    buyers = sorted(Buyer(person.signed_up(anchor), person.id) for person in PEOPLE[1:])
    return list(plan(Batch(first, last, anchor), buyers))


def _day_of(order: Order) -> date:
    return order.steps[0].at.date()


def test_plan_is_the_same_whenever_it_is_made() -> None:
    """The same batch and buyers give the same orders."""
    assert _plan() == _plan()
    assert _plan(first=461, last=900) == _plan(first=461, last=900)


@pytest.mark.parametrize("anchor", [*WEEK, MONDAY.replace(hour=0, minute=0, second=0)], ids=str)
def test_history_is_plausible(anchor: datetime) -> None:
    """Nothing lies in the future, nothing 91 days ago, and every status follows legally from the one before."""
    orders = _plan(anchor)
    assert [order.id for order in orders] == [order_id(number) for number in range(1, DEFAULT_ORDERS + 1)]
    for order in orders:
        moments = [step.at for step in order.steps]
        assert moments == sorted(moments)
        assert anchor.date() - timedelta(days=90) <= moments[0].date()
        assert moments[-1] <= anchor
        assert order.steps[0].status == "pending"
        assert all(after.status in STATUS_STEPS[before.status] for before, after in pairwise(order.steps))
        assert len({line.article.sku for line in order.lines}) == len(order.lines)
    assert moments == sorted(moments)


@pytest.mark.parametrize("anchor", WEEK, ids=lambda anchor: f"{anchor:%a}")
def test_every_status_is_there_and_the_old_orders_are_done(anchor: datetime) -> None:
    """Orders of more than three weeks are completed or cancelled; of each status there are a few."""
    orders = _plan(anchor)
    count = Counter(order.status for order in orders)
    assert set(count) == {"pending", "processing", "shipped", "delivered", "completed", "cancelled"}
    assert min(count.values()) >= 3
    old = {order.status for order in orders if order.steps[0].at < anchor - timedelta(days=21)}
    assert old == {"completed", "cancelled"}


@pytest.mark.parametrize("anchor", WEEK, ids=lambda anchor: f"{anchor:%a}")
def test_forecast_finds_the_week_and_the_two_unusual_days(anchor: datetime) -> None:
    """Whatever weekday the demo is made on, the forecast sees its weekly pattern, the campaign and the outage."""
    first = anchor.date() - timedelta(days=90)
    revenue: Counter[date] = Counter()
    for order in _plan(anchor):
        revenue[_day_of(order)] += 0 if order.status == "cancelled" else order.total  # type: ignore[assignment]  # money
    history = [float(revenue[first + timedelta(days=day)]) for day in range(90)]
    found = forecast(history, first, days=14)
    assert found.seasonality == "weekday"
    assert any(anomaly.z > 0 and 24 <= (anchor.date() - anomaly.date).days <= 30 for anomaly in found.anomalies)
    assert any(anomaly.z < 0 and 45 <= (anchor.date() - anomaly.date).days <= 51 for anomaly in found.anomalies)
    assert found.backtest is not None
    assert found.backtest.mae < found.backtest.naive_mae


def test_weekends_are_quiet_and_business_grows() -> None:
    """A Saturday or Sunday has about half the orders of a working day; the last month has more than the first."""
    orders = _plan()
    weekend = sum(_day_of(order).weekday() >= 5 for order in orders) / 26
    working = sum(_day_of(order).weekday() < 5 for order in orders) / 64
    assert 0.35 < weekend / working < 0.7
    last = sum(_day_of(order) > MONDAY.date() - timedelta(days=30) for order in orders)
    first = sum(_day_of(order) <= MONDAY.date() - timedelta(days=60) for order in orders)
    assert last > 1.1 * first


def test_nobody_orders_before_signing_up_and_bob_orders_most() -> None:
    """Each order's buyer had an account; the account to try things out with has several orders."""
    signed_up = {person.id: person.signed_up(MONDAY) for person in PEOPLE}
    orders = _plan()
    assert all(signed_up[order.user_id] <= order.steps[0].at for order in orders)
    # Here he stands in the list once, as everybody does; see test_seeding for the share he has.
    assert Counter(order.user_id for order in orders)[2] >= 10


def test_catalogue_is_that_of_the_contract() -> None:
    """40 priced SKUs, SKU-001 with 200 pieces at 10.00, a few out of stock and a few low."""
    assert [article.sku for article in ARTICLES] == [f"SKU-{number:03}" for number in range(1, 41)]
    assert (ARTICLES[0].available, ARTICLES[0].price) == (200, Decimal("10.00"))
    assert len({article.name for article in ARTICLES}) == 40
    assert 2 <= sum(article.available == 0 for article in ARTICLES) <= 5
    assert 3 <= sum(0 < article.available < LOW_STOCK for article in ARTICLES) <= 6


def test_people_are_those_of_the_contract() -> None:
    """25 accounts with ids 1 to 25, one admin, some of them inactive, and some new ones of this week."""
    assert [person.id for person in PEOPLE] == list(range(1, 26))
    assert [(person.email, person.role) for person in PEOPLE[:2]] == [
        ("admin@test.com", "admin"),
        ("bob@example.com", "user"),
    ]
    assert [person.id for person in PEOPLE if person.role == "admin"] == [1]
    assert 1 < sum(not person.is_active for person in PEOPLE) < 5
    assert sum(person.signed_up(MONDAY) > MONDAY - timedelta(days=7) for person in PEOPLE) == 3
    assert len({person.email for person in PEOPLE}) == 25


def test_shoppers_sign_up_one_after_the_other() -> None:
    """They are there before the first order, and have names and addresses of their own."""
    opens, closes = MONDAY - timedelta(days=365), MONDAY
    found = shoppers(461, 250, opens, closes)
    assert len({shopper.email for shopper in found}) == 250
    moments = [shopper.signed_up for shopper in found]
    assert moments == sorted(moments)
    assert moments[0] < opens < moments[-1] < closes


def test_batches_are_known_by_their_names() -> None:
    """A name gives the batch back; anything else gives nothing."""
    batch = Batch(461, 25_460, MONDAY)
    assert Batch.named(batch.name) == batch
    assert [Batch.named(name) for name in ("", "demo:", "demo:1-460@yesterday", f"{batch.name} ")] == [None] * 4
    assert order_id(MOST_ORDERS) == "DEMO-9999999"


def test_missing_batches_fill_up_without_gap_or_overlap() -> None:
    """They begin where the present ones end, and the default batch comes whole, whatever is asked for."""
    assert [(batch.first, batch.last) for batch in missing_batches([], 0, MONDAY)] == [(1, 460)]
    found = list(missing_batches([], 60_000, MONDAY))
    assert [(batch.first, batch.last) for batch in found] == [
        (1, 460),
        (461, 25_460),
        (25_461, 50_460),
        (50_461, 60_000),
    ]
    assert list(missing_batches(found, 60_000, MONDAY)) == []
    assert [(batch.first, batch.last) for batch in missing_batches(found, 60_001, MONDAY)] == [(60_001, 60_001)]


def test_audit_trail_is_worded_as_the_service_words_it() -> None:
    """Each event has the type, the sentence and the values that the service itself would have written."""
    for order in _plan()[-40:]:
        items = [Item(article.sku, quantity, article.price) for article, quantity in order.lines]
        before = OrderRow(id=order.id, user_id=order.user_id, status="pending", items=items, total=order.total)
        expected = [events.created(before, Actor(order.user_id, None))]
        for step in order.steps[1:]:
            after = OrderRow(id=order.id, user_id=order.user_id, status=step.status, items=items, total=order.total)
            expected += events.differences(before, after, Actor(1, None))
            before = after
        assert [event[1:5] for event in _events(order, 1)] == [
            (event.event_type, event.description, event.old_value, event.new_value) for event in expected
        ]
