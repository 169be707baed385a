"""Counts, series and the forecast: whose, of which days, and how far."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from .test_reading import add

pytestmark = pytest.mark.anyio

Headers = dict[str, str]


@pytest.fixture
async def history(sql: asyncpg.Connection, people: dict[str, int]) -> date:
    """Bob's orders of today, yesterday and 40 days ago, one of them cancelled, and one of Eve's; answers today."""
    now = datetime.now(UTC)
    await add(sql, "B-1", people["Bob"], at=now, total="10.00")
    await add(sql, "B-2", people["Bob"], at=now, total="5.50", status="cancelled")
    await add(sql, "B-3", people["Bob"], at=now - timedelta(days=1), total="7.25", status="shipped")
    await add(sql, "B-4", people["Bob"], at=now - timedelta(days=40), total="1.00")
    await add(sql, "E-1", people["Eve"], at=now, total="100.00")
    return now.date()


async def test_summary(client: httpx.AsyncClient, history: date, ada: Headers, bob: Headers) -> None:
    """One's own, or all for an admin; a cancelled order is counted and earns nothing."""
    own = (await client.get("/analytics", headers=bob)).json()
    assert {**own, "recent_orders": None} == {
        "total_orders": 4,
        "total_revenue": "18.25",
        "status_breakdown": {"cancelled": 1, "completed": 2, "shipped": 1},
        "recent_orders_7d": 3,
        "recent_orders": None,
    }
    assert [order["id"] for order in own["recent_orders"]] == ["B-2", "B-1", "B-3", "B-4"]
    assert own["recent_orders"][1].keys() == {"id", "user_id", "total", "status", "created_at"}
    everybody = (await client.get("/analytics", headers=ada)).json()
    assert (everybody["total_orders"], everybody["total_revenue"]) == (5, "118.25")
    assert len(everybody["recent_orders"]) == 5


async def test_timeseries(client: httpx.AsyncClient, history: date, bob: Headers) -> None:
    """Every day up to today, empty ones too, in JSON numbers."""
    answer = (await client.get("/analytics/timeseries", headers=bob)).json()
    assert answer["days"] == 30
    assert [day["date"] for day in answer["series"]] == [
        (history - timedelta(days=29 - number)).isoformat() for number in range(30)
    ]
    assert answer["series"][-1] == {"date": history.isoformat(), "orders": 2, "revenue": 10.0}
    assert answer["series"][-2]["revenue"] == 7.25
    assert sum(day["orders"] for day in answer["series"]) == 3


@pytest.mark.parametrize(("asked", "days"), [(-5, 1), (0, 1), (7, 7), (180, 180), (9999, 180)])
async def test_timeseries_days_are_clamped(client: httpx.AsyncClient, bob: Headers, asked: int, days: int) -> None:
    """1 to 180."""
    answer = (await client.get("/analytics/timeseries", params={"days": asked}, headers=bob)).json()
    assert (answer["days"], len(answer["series"])) == (days, days)


async def test_forecast(client: httpx.AsyncClient, history: date, bob: Headers) -> None:
    """90 whole days of history, then the days asked for from today on, each inside its interval."""
    answer = await client.get("/analytics/forecast", params={"days": 14}, headers=bob)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found.keys() >= {"days", "method", "seasonality", "history", "forecast", "anomalies", "backtest"}
    assert (found["days"], len(found["history"]), len(found["forecast"])) == (14, 90, 14)
    # Of today there is a part, which no day before can be compared with.
    assert found["history"][-1] == {"date": (history - timedelta(days=1)).isoformat(), "revenue": 7.25}
    assert found["forecast"][0]["date"] == history.isoformat()
    assert all(0 <= day["lower"] <= day["revenue"] <= day["upper"] for day in found["forecast"])
    assert found["method"] in ("linear", "exp", "hw")


@pytest.mark.parametrize(("asked", "days"), [(-1, 1), (0, 1), (90, 90), (1000, 90)])
async def test_forecast_days_are_clamped(client: httpx.AsyncClient, bob: Headers, asked: int, days: int) -> None:
    """1 to 90."""
    answer = (await client.get("/analytics/forecast", params={"days": asked}, headers=bob)).json()
    assert (answer["days"], len(answer["forecast"])) == (days, days)


@pytest.mark.parametrize("conf", ["0.8", "0.95", "0.99"])
@pytest.mark.parametrize("method", ["auto", "linear", "exp", "hw"])
async def test_forecast_takes_what_the_contract_names(
    client: httpx.AsyncClient, bob: Headers, method: str, conf: str
) -> None:
    """Every method and confidence, with and without orders."""
    params: dict[str, str | int] = {"method": method, "conf": conf, "seasonality": "weekday", "days": 3}
    assert (await client.get("/analytics/forecast", params=params, headers=bob)).status_code == 200


@pytest.mark.parametrize("wrong", [{"method": "arima"}, {"seasonality": "yearly"}, {"conf": "0.5"}, {"days": "x"}])
async def test_forecast_refuses_anything_else(client: httpx.AsyncClient, bob: Headers, wrong: dict[str, str]) -> None:
    """422 names the parameter."""
    answer = await client.get("/analytics/forecast", params=wrong, headers=bob)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == list(wrong)
