"""The forecast against statsmodels where it has the same model, and against what an answer must never be."""

import datetime as dt
import json
import math
import random
from itertools import accumulate, pairwise, product
from typing import Any, get_args

import msgspec
import pandas as pd  # type: ignore[import-untyped] # its stubs would serve this one line
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.api import ETSModel

from microdemo_orders.extrapolation import State, Weights, initial_state, project, smooth, smoothing, t_quantile
from microdemo_orders.forecast import Forecast, Method, Seasonality, forecast, robust_z

MONDAY = dt.date(2026, 1, 5)
WEEKDAYS = [0.0, 20.0, 40.0, 60.0, 150.0, 200.0, -80.0]
MODELS = list(product([False, True], repeat=2))
"""(trend, seasonal)"""
METHODS: tuple[Method, ...] = get_args(Method)
SEASONALITIES: tuple[Seasonality, ...] = get_args(Seasonality)

HISTORIES: dict[str, list[float]] = {
    "empty": [],
    "one day": [19.99],
    "two days": [0.0, 19.99],
    "thirteen days": [float(t % 5) for t in range(13)],
    "two weeks": [float(t % 5) for t in range(14)],
    "three weeks": [float(t % 5) for t in range(21)],
    "all zero": [0.0] * 90,
    "constant": [0.1] * 90,
    "first order today": [0.0] * 89 + [1000.0],
    "orders on the last two days": [0.0] * 88 + [1000.0] * 2,
    "six orders": [45.5 if t in {3, 20, 21, 50, 71, 88} else 0.0 for t in range(90)],
    "one outlier": [100.0] * 45 + [1e6] + [100.0] * 44,
    "outlier today": [100.0] * 89 + [1e6],
    "falling to zero": [max(0.0, 900.0 - 12 * t) for t in range(90)],
    "saturdays only": [250.0 if t % 7 == 5 else 0.0 for t in range(90)],
    "large": [1e12 + t for t in range(90)],
}


def weekly(*, noise: float = 40.0, slope: float = 2.0, days: int = 90, seed: int = 1) -> list[float]:
    rng = random.Random(seed)  # noqa: S311 # reproducible, not secret
    return [500 + slope * t + WEEKDAYS[t % 7] + rng.gauss(0, noise) for t in range(days)]


def drifting(seed: int, *, days: int = 90) -> list[float]:
    """A series of ETS(A,A,A): its level, trend and weekdays wander."""
    rng = random.Random(seed)  # noqa: S311 # reproducible, not secret
    level, trend, seasons = 5000.0, 2.0, WEEKDAYS.copy()
    series = []
    for t in range(days):
        error = rng.gauss(0, 40)
        series.append(level + trend + seasons[t % 7] + error)
        level += trend + 0.3 * error
        trend += 0.02 * error
        seasons[t % 7] += 0.1 * error
    return series


def assert_sound(answer: Forecast, history: list[float], days: int) -> None:
    json.dumps(json.loads(msgspec.json.encode(answer)), allow_nan=False)
    assert [day.revenue for day in answer.history] == [round(value, 2) for value in history]
    assert answer.days == days == len(answer.forecast)
    dates = [day.date for day in answer.history] + [day.date for day in answer.forecast]
    assert dates == [MONDAY + dt.timedelta(days=t) for t in range(len(history) + days)]
    for day in answer.forecast:
        assert 0 <= day.lower <= day.revenue <= day.upper < math.inf
    assert all(math.isfinite(anomaly.z) and abs(anomaly.z) >= 3 for anomaly in answer.anomalies)


# The oracle


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("seasonality", ["none", "weekday"])
def test_linear_is_least_squares(seasonality: Seasonality, confidence: float) -> None:
    """Means and prediction intervals equal statsmodels' OLS on trend and weekday dummies, to the cent."""
    history = weekly()

    def row(t: int) -> list[float]:
        dummies = [float(t % 7 == i) for i in range(7)] if seasonality == "weekday" else [1.0]
        return [*dummies, float(t)]

    ols = sm.OLS(history, [row(t) for t in range(90)]).fit()
    frame = ols.get_prediction([row(t) for t in range(90, 180)]).summary_frame(alpha=1 - confidence)

    answer = forecast(history, MONDAY, days=90, method="linear", seasonality=seasonality, confidence=confidence)
    assert [day.revenue for day in answer.forecast] == pytest.approx(list(frame["mean"]), abs=0.006)
    margins = list(accumulate(frame["obs_ci_upper"] - frame["mean"], max))
    assert [day.upper - day.revenue for day in answer.forecast] == pytest.approx(margins, abs=0.011)
    assert [day.revenue - day.lower for day in answer.forecast] == pytest.approx(margins, abs=0.011)


def ets(history: list[float], start: State, *, trend: bool, seasonal: bool) -> Any:
    """The oracle; not its ExponentialSmoothing, whose every seventh day is wrong (statsmodels issue 9538)."""
    return ETSModel(
        pd.Series(history),
        trend="add" if trend else None,
        seasonal="add" if seasonal else None,
        seasonal_periods=7 if seasonal else None,
        initialization_method="known",
        initial_level=start.level,
        initial_trend=start.trend if trend else None,
        initial_seasonal=start.seasons if seasonal else None,
    )


@pytest.mark.parametrize(("trend", "seasonal"), MODELS)
def test_smoothing_is_ets(trend: bool, seasonal: bool) -> None:
    """From the same states and weights, errors, means and variances equal statsmodels' ETS."""
    history = weekly()
    start = State(480.0, 1.5 if trend else 0.0, [-60.0, -40, -20, 0, 90, 140, -110] if seasonal else [0.0])
    weights = Weights(0.3, 0.06 if trend else 0.0, 0.14 if seasonal else 0.0)
    given = [0.3] + [0.06] * trend + [0.14] * seasonal
    oracle = ets(history, start, trend=trend, seasonal=seasonal).smooth(given)
    prediction = oracle.get_prediction(start=90, end=179)

    state, squares = smooth(history, start, weights)
    means, variances = project(state, weights, 90, 90)
    assert squares == pytest.approx(oracle.sse)
    assert means == pytest.approx(list(prediction.predicted_mean))
    assert [v * squares / 90 for v in variances] == pytest.approx(list(prediction.forecast_variance))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("trend", "seasonal"), MODELS)
def test_the_weights_are_as_good_as_an_optimizers(trend: bool, seasonal: bool, seed: int) -> None:
    """From the same start, no more than 1% of squared error is left to statsmodels' optimizer."""
    history = drifting(seed)
    period = 7 if seasonal else 1
    paths = smoothing(history, period, 1, trend=trend)
    start = initial_state(history, period, trend=trend)
    oracle = ets(history, start, trend=trend, seasonal=seasonal).fit(disp=False)
    assert paths.errors[0] ** 2 * paths.freedom <= 1.01 * oracle.sse


@pytest.mark.parametrize(
    ("probability", "freedom", "table"),
    [(0.9, 12, 1.3562), (0.975, 12, 2.1788), (0.995, 12, 3.0545), (0.975, 82, 1.9893), (0.5, 3, 0.0)],
)
def test_t_quantile(probability: float, freedom: int, table: float) -> None:
    """Agrees with the printed tables to 0.1%."""
    assert t_quantile(probability, freedom) == pytest.approx(table, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize(
    ("method", "confidence", "covered"),
    [("linear", 0.8, 0.8), ("linear", 0.95, 0.95), ("hw", 0.8, 0.73), ("hw", 0.95, 0.89)],
)
def test_coverage(method: Method, confidence: float, covered: float) -> None:
    """Share of 14 days inside the interval, over 150 simulated series of the model itself.

    Smoothing's intervals take the fitted weights for the true ones and are narrow, everywhere: on 60 of these
    series statsmodels' own fit covers 67% and 85%, ours 72% and 89%.
    """
    inside = 0
    for seed in range(150):
        series = drifting(seed, days=104) if method == "hw" else weekly(seed=seed, days=104)
        answer = forecast(series[:90], MONDAY, days=14, method=method, seasonality="weekday", confidence=confidence)
        inside += sum(d.lower <= y <= d.upper for d, y in zip(answer.forecast, series[90:], strict=True))
    assert inside / (150 * 14) == pytest.approx(covered, abs=0.02)


# The answer


@pytest.mark.parametrize("name", HISTORIES)
def test_every_answer_is_sound(name: str) -> None:
    """Finite, dated without a gap, never negative, inside its interval: for every option and odd history."""
    history = HISTORIES[name]
    for method, seasonality, days in product(METHODS, SEASONALITIES, [1, 7, 90]):
        answer = forecast(history, MONDAY, days=days, method=method, seasonality=seasonality, confidence=0.99)
        assert_sound(answer, history, days)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    history=st.lists(st.just(0.0) | st.floats(0, 1e12), max_size=120),
    days=st.integers(1, 90),
    method=st.sampled_from(METHODS),
    seasonality=st.sampled_from(SEASONALITIES),
)
def test_any_answer_is_sound(history: list[float], days: int, method: Method, seasonality: Seasonality) -> None:
    """The same for any amounts and gaps up to a trillion a day."""
    assert_sound(forecast(history, MONDAY, days=days, method=method, seasonality=seasonality), history, days)


def test_the_wire_format() -> None:
    """The members are those of the contract, dates are ISO days and amounts JSON numbers in cents."""
    history = weekly()
    history[10] = 5000.0
    answer = msgspec.to_builtins(forecast(history, MONDAY, days=7, method="hw", seasonality="weekday"))
    assert {key: answer[key] for key in ("days", "method", "seasonality")} == {
        "days": 7,
        "method": "hw",
        "seasonality": "weekday",
    }
    assert answer["history"][10] == {"date": "2026-01-15", "revenue": 5000.0}
    assert answer["forecast"][0].keys() == {"date", "revenue", "lower", "upper"}
    assert answer["anomalies"][0].keys() == {"date", "revenue", "z"}
    assert answer["backtest"].keys() == {"mae", "naive_mae", "horizon_days", "origins"}
    numbers = [n for day in answer["forecast"] for n in (day["revenue"], day["lower"], day["upper"])]
    numbers += [answer["backtest"]["mae"], answer["backtest"]["naive_mae"]]
    assert all(isinstance(n, float) and n == round(n, 2) for n in numbers)


@pytest.mark.parametrize("method", ["linear", "hw"])
def test_a_regular_series_is_continued(method: Method) -> None:
    """Trend and weekdays without noise go on exactly, with intervals of no width."""
    future = weekly(noise=0.0, days=180)[90:]
    answer = forecast(weekly(noise=0.0), MONDAY, days=90, method=method, seasonality="weekday")
    assert [day.revenue for day in answer.forecast] == pytest.approx(future, abs=0.01)
    assert answer.forecast[-1].upper - answer.forecast[-1].lower < 0.02


@pytest.mark.parametrize("seasonality", ["none", "weekday"])
@pytest.mark.parametrize("method", ["linear", "exp", "hw"])
def test_intervals_widen(method: Method, seasonality: Seasonality) -> None:
    """A later day's interval is never narrower than an earlier one's, and more confidence is wider."""

    def widths(confidence: float) -> list[float]:
        days = forecast(
            drifting(1), MONDAY, days=90, method=method, seasonality=seasonality, confidence=confidence
        ).forecast
        assert days[-1].lower > 0
        return [day.upper - day.lower for day in days]

    assert all(later >= earlier - 0.02 for earlier, later in pairwise(widths(0.8)))
    assert seasonality == "none" or widths(0.8)[-1] > widths(0.8)[0]
    assert all(a < b < c for a, b, c in zip(widths(0.8), widths(0.95), widths(0.99), strict=True))


@pytest.mark.parametrize("method", ["linear", "hw"])
def test_no_negative_revenue(method: Method) -> None:
    """A falling trend ends at 0, not below."""
    falling = [1000.0 - 10 * t for t in range(90)]
    answer = forecast(falling, MONDAY, days=90, method=method, seasonality="none")
    assert answer.forecast[0].revenue == 100.0
    assert (answer.forecast[-1].lower, answer.forecast[-1].revenue) == (0.0, 0.0)


def test_two_orders_in_a_row_are_no_new_daily_level() -> None:
    """An occasional buyer's forecast is the average of all days."""
    answer = forecast(HISTORIES["orders on the last two days"], MONDAY, days=90)
    assert {day.revenue for day in answer.forecast} == {22.22}


def test_one_large_order_today_does_not_set_the_forecast() -> None:
    """The weights' search finds that a single last day explains nothing, although it fits the day."""
    answer = forecast(HISTORIES["outlier today"], MONDAY, days=90, method="exp", seasonality="none")
    assert answer.forecast[-1].revenue == pytest.approx((89 * 100 + 1e6) / 90, rel=0.01)


# What "auto" resolves to


def test_auto_takes_the_least_backtested_error() -> None:
    """No explicit choice would have had a smaller error than the one taken."""
    for history, days in product([weekly(), weekly(slope=0.0), drifting(3)], [7, 30]):
        answer = forecast(history, MONDAY, days=days)
        explicit = [
            forecast(history, MONDAY, days=days, method=method, seasonality=seasonality).backtest
            for method, seasonality in product(METHODS[1:], SEASONALITIES[1:])
        ]
        assert answer.backtest is not None
        assert answer.backtest.mae == min(test.mae for test in explicit if test)


@pytest.mark.parametrize(
    ("history", "method", "seasonality"),
    [
        (HISTORIES["all zero"], "exp", "none"),
        (HISTORIES["constant"], "exp", "none"),
        (HISTORIES["saturdays only"], "exp", "weekday"),
        ([100.0 + t for t in range(90)], "linear", "none"),
        (weekly(), "linear", "weekday"),
        (weekly(slope=0.0, days=13), "exp", "none"),
    ],
)
def test_auto_prefers_the_simplest(history: list[float], method: str, seasonality: str) -> None:
    """Among equal errors: flat before a line before smoothing, no pattern before weekdays."""
    answer = forecast(history, MONDAY, days=14)
    assert (answer.method, answer.seasonality) == (method, seasonality)


def test_a_choice_is_kept_and_the_rest_resolved() -> None:
    """An explicit method or seasonality stands; only under two weeks of history is it given up, and said so."""
    history = weekly()
    assert forecast(history, MONDAY, days=7, method="exp").seasonality == "weekday"
    assert forecast(history, MONDAY, days=7, seasonality="none").seasonality == "none"
    short = forecast(history[:13], MONDAY, days=7, method="hw", seasonality="weekday")
    assert (short.method, short.seasonality, short.backtest) == ("exp", "none", None)


@pytest.mark.parametrize(("days", "horizon", "naive"), [(1, 7, 7.0), (7, 7, 7.0), (14, 14, 10.5), (90, 28, 17.5)])
def test_the_backtest_looks_as_far_as_was_asked(days: int, horizon: int, naive: float) -> None:
    """One to four weeks: on a line that rises by 1 a day, repeating the last week errs by 7 a week."""
    backtest = forecast([float(t) for t in range(90)], MONDAY, days=days, method="linear").backtest
    assert backtest is not None
    assert (backtest.horizon_days, backtest.origins, backtest.mae) == (horizon, 4, 0.0)
    assert backtest.naive_mae == naive


def test_the_backtest_does_not_see_what_it_predicts() -> None:
    """A last week unlike any before counts with its whole difference from the forecast."""
    backtest = forecast([100.0] * 83 + [500.0] * 7, MONDAY, days=7, method="exp", seasonality="none").backtest
    assert backtest is not None
    assert (backtest.mae, backtest.naive_mae) == (100.0, 100.0)


def test_the_backtest_judges_what_is_answered() -> None:
    """A line that falls below 0 is cut at 0 before it is compared."""
    falling = [max(0.0, 700.0 - 10 * t) for t in range(90)]
    backtest = forecast(falling, MONDAY, days=7, method="linear", seasonality="none").backtest
    assert backtest is not None
    assert backtest.mae < 5


# Anomalies


def test_an_outlier_is_an_anomaly() -> None:
    """Days far above and far below are named, with the sign of their distance, and no others."""
    history = [500.0 + WEEKDAYS[t % 7] + t * 37 % 11 for t in range(90)]
    history[30], history[60] = 2000.0, 0.0
    anomalies = forecast(history, MONDAY, days=7, method="linear", seasonality="weekday").anomalies
    assert [(a.date, a.revenue) for a in anomalies] == [
        (MONDAY + dt.timedelta(days=30), 2000.0),
        (MONDAY + dt.timedelta(days=60), 0.0),
    ]
    assert anomalies[0].z > 3
    assert anomalies[1].z < -3


def test_a_weekday_is_compared_with_its_like() -> None:
    """A high Saturday stands out of all days but not of the Saturdays; a Saturday like a Monday does."""
    history = [400.0 + t % 5 if t % 7 == 5 else 100.0 + t % 5 for t in range(90)]
    history[40] = 102.0
    assert [t for t, z in robust_z(history, 7) if abs(z) >= 3] == [40]
    assert {t % 7 for t, z in robust_z(history, 1) if abs(z) >= 3} == {5}


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], []),
        ([0.0] * 90, []),
        ([100.0] * 90, []),
        ([float(t) for t in range(90)], []),
        (HISTORIES["first order today"], []),
        (HISTORIES["six orders"], []),
        (HISTORIES["one outlier"], [45]),
        ([20.0, 21.0, 19.0, 22.0, 500.0, *[0.0] * 85], [4]),
        ([100.0] * 89 + [100.01], []),
    ],
)
@pytest.mark.parametrize("period", [1, 7])
def test_most_days_equal(history: list[float], expected: list[int], period: int) -> None:
    """Where the median distance is 0 scores stay finite; an occasional buyer's orders are compared together."""
    assert [t for t, z in robust_z(history, period) if abs(z) >= 3] == expected


def test_the_scores() -> None:
    """Distance over 1.4826 MAD; over 1.2533 mean distances if the MAD is 0 (Iglewicz & Hoaglin)."""
    assert dict(robust_z([1.0, 2.0, 3.0, 4.0, 100.0], 1))[4] == pytest.approx(97 / 1.4826)
    assert dict(robust_z([100.0] * 89 + [200.0], 1))[89] == pytest.approx(90 / 1.2533)
