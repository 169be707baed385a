"""Counts of accounts."""

from datetime import UTC, date, datetime, time, timedelta

import httpx
import pytest

from microdemo_core.testing.tokens import Tokens

from .conftest import AddPerson, Person, field_errors

pytestmark = pytest.mark.anyio


async def test_head_counts(client: httpx.AsyncClient, ada: Person, bob: Person, add_person: AddPerson) -> None:
    """All, active, inactive, by role, and those who came within seven days."""
    await add_person("Cleo", is_active=False, created_at=datetime.now(UTC) - timedelta(days=6, hours=23))
    await add_person("Dan", role="admin", created_at=datetime.now(UTC) - timedelta(days=7, hours=1))
    answer = await client.get("/analytics", headers=bob.headers)
    assert answer.status_code == 200
    assert answer.json() == {
        "total_users": 4,
        "active_users": 3,
        "inactive_users": 1,
        "role_breakdown": {"user": 2, "admin": 2},
        "recent_signups_7d": 3,
    }


async def test_a_role_nobody_has_counts_zero(client: httpx.AsyncClient, add_person: AddPerson) -> None:
    """Both roles are always there."""
    alone = await add_person("Alone")
    answer = await client.get("/analytics", headers=alone.headers)
    assert answer.json()["role_breakdown"] == {"user": 1, "admin": 0}


async def test_counts_follow_every_change(client: httpx.AsyncClient, ada: Person, bob: Person) -> None:
    """Cached, and forgotten when an account is created, changed or deleted."""

    async def counts() -> tuple[int, int, int]:
        head = (await client.get("/analytics", headers=ada.headers)).json()
        series = (await client.get("/analytics/timeseries?days=1", headers=ada.headers)).json()["series"]
        return head["total_users"], head["active_users"], series[0]["signups"]

    assert await counts() == (2, 2, 2)
    created = await client.post("/", json={"name": "Eve", "email": "eve@example.com"}, headers=ada.headers)
    assert await counts() == (3, 3, 3)
    await client.put(f"/{created.json()['id']}", json={"is_active": False}, headers=ada.headers)
    assert await counts() == (3, 2, 3)
    await client.delete(f"/{created.json()['id']}", headers=ada.headers)
    assert await counts() == (2, 2, 2)


async def test_signups_by_day_have_no_gaps(client: httpx.AsyncClient, ada: Person, add_person: AddPerson) -> None:
    """Days in UTC up to today, oldest first, zero where nobody came; the first and last instant of a day are its."""
    today = datetime.now(UTC).date()
    two_days_ago = today - timedelta(days=2)
    await add_person("First", created_at=datetime.combine(two_days_ago, time.min, UTC))
    await add_person("Last", created_at=datetime.combine(two_days_ago, time.max, UTC))
    await add_person("Before", created_at=datetime.combine(today - timedelta(days=4), time.max, UTC))
    answer = await client.get("/analytics/timeseries?days=4", headers=ada.headers)
    assert answer.json() == {
        "days": 4,
        "series": [
            {"date": (today - timedelta(days=3)).isoformat(), "signups": 0},
            {"date": two_days_ago.isoformat(), "signups": 2},
            {"date": (today - timedelta(days=1)).isoformat(), "signups": 0},
            {"date": today.isoformat(), "signups": 1},
        ],
    }


@pytest.mark.parametrize(("asked", "given"), [(None, 30), ("7", 7), ("0", 1), ("-5", 1), ("181", 180), ("9" * 30, 180)])
async def test_days_are_clamped(client: httpx.AsyncClient, bob: Person, asked: str | None, given: int) -> None:
    """30 unless told, 1 to 180 whatever is told; that many points."""
    answer = await client.get("/analytics/timeseries", params={"days": asked} if asked else {}, headers=bob.headers)
    assert answer.status_code == 200
    assert answer.json()["days"] == given
    dates = [date.fromisoformat(point["date"]) for point in answer.json()["series"]]
    assert dates == [dates[0] + timedelta(days=offset) for offset in range(given)]


async def test_days_are_a_number(client: httpx.AsyncClient, bob: Person) -> None:
    """422 for what is none."""
    answer = await client.get("/analytics/timeseries?days=many", headers=bob.headers)
    assert field_errors(answer) == ["days"]


async def test_analytics_are_for_people(client: httpx.AsyncClient, tokens: Tokens) -> None:
    """403 for services."""
    for path in ("/analytics", "/analytics/timeseries"):
        assert (await client.get(path, headers=tokens.service("users"))).status_code == 403
