"""The forecast of daily revenue as the API answers it: model choice by back-test, intervals, anomalies.

Pure functions. With everything on "auto" 90 days cost 1-10 ms of CPU (docs/adr/0005): run it off the event
loop. Amounts go in and come out as floats, out rounded to cents.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from statistics import fmean, median
from typing import Final, Literal

import msgspec

from microdemo_orders.extrapolation import Paths, linear, smoothing

__all__ = [
    "Anomaly",
    "Backtest",
    "DailyRevenue",
    "Forecast",
    "ForecastDay",
    "Method",
    "Seasonality",
    "forecast",
    "robust_z",
]

Model = Literal["linear", "exp", "hw"]
Method = Literal["auto", "linear", "exp", "hw"]
Pattern = Literal["weekday", "none"]
Seasonality = Literal["auto", "weekday", "none"]

WEEK: Final = 7
SHORTEST: Final = 2 * WEEK
"""Days; fewer show neither trend nor weekday pattern, and are smoothed whatever was asked for."""
THRESHOLD: Final = 3.0
CENT: Final = 0.01


class DailyRevenue(msgspec.Struct, frozen=True):
    date: dt.date
    revenue: float


class ForecastDay(msgspec.Struct, frozen=True):
    """0 <= lower <= revenue <= upper: the interval is symmetric until it is cut at 0."""

    date: dt.date
    revenue: float
    lower: float
    upper: float


class Anomaly(msgspec.Struct, frozen=True):
    """A day at least 3 robust deviations from what is usual, on its weekday if `seasonality` is weekday."""

    date: dt.date
    revenue: float
    z: float


class Backtest(msgspec.Struct, frozen=True):
    """Mean absolute error per day, in money, of forecasts from past days; `naive_mae` repeats the last week."""

    mae: float
    naive_mae: float
    horizon_days: int
    origins: int


class Forecast(msgspec.Struct, frozen=True):
    """`method` and `seasonality` are those used; `backtest` is None for a history of less than three weeks."""

    days: int
    method: Model
    seasonality: Pattern
    history: list[DailyRevenue]
    forecast: list[ForecastDay]
    anomalies: list[Anomaly]
    backtest: Backtest | None


_MODELS: Final[dict[Model, Callable[[Sequence[float], int, int], Paths]]] = {
    "exp": partial(smoothing, trend=False),
    "linear": linear,
    "hw": partial(smoothing, trend=True),
}
_PERIODS: Final[dict[Pattern, int]] = {"none": 1, "weekday": WEEK}


def forecast(
    history: Sequence[float],
    first_day: dt.date,
    *,
    days: int,
    method: Method = "auto",
    seasonality: Seasonality = "auto",
    confidence: float = 0.95,
) -> Forecast:
    """The `days` that follow `history`: one finite amount for each day from `first_day` on, 0 if nothing sold.

    "auto" resolves to the least back-tested error, in cents; among equals to the simplest, as listed above.
    """
    models = list(_MODELS) if method == "auto" else [method]
    patterns = list(_PERIODS) if seasonality == "auto" else [seasonality]
    if len(history) < SHORTEST:
        models, patterns = ["exp"], ["none"]
    tested = [(_backtest(history, days, *choice), *choice) for choice in product(models, patterns)]
    backtest, model, pattern = min(tested, key=lambda test: test[0].mae if test[0] else 0.0)
    period = _PERIODS[pattern]

    paths = _MODELS[model](history or (0.0,), period, days)
    dates = [first_day + dt.timedelta(days=t) for t in range(len(history) + days)]
    ahead = zip(dates[len(history) :], paths.means, paths.margins(confidence), strict=True)
    return Forecast(
        days=days,
        method=model,
        seasonality=pattern,
        history=[DailyRevenue(date, round(value, 2)) for date, value in zip(dates, history, strict=False)],
        forecast=[
            ForecastDay(date, _revenue(mean), _revenue(mean - margin), _revenue(mean + margin))
            for date, mean, margin in ahead
        ],
        anomalies=[
            Anomaly(dates[t], round(history[t], 2), round(z, 2))
            for t, z in robust_z(history, period)
            if abs(z) >= THRESHOLD
        ],
        backtest=backtest,
    )


def _backtest(y: Sequence[float], days: int, model: Model, pattern: Pattern) -> Backtest | None:
    """Rolling origin (FPP3 5.10): up to four forecasts, made a week apart, each for the last one's 1-4 weeks."""
    horizon = min(max(days, WEEK), 4 * WEEK, len(y) - SHORTEST)
    if horizon < WEEK:
        return None
    origins = range(len(y) - horizon, SHORTEST - 1, -WEEK)[:4]
    errors: list[float] = []
    naive: list[float] = []
    for origin in origins:
        known, actual = y[:origin], y[origin : origin + horizon]
        means = _MODELS[model](known, _PERIODS[pattern], horizon).means
        errors += [abs(max(0.0, mean) - value) for mean, value in zip(means, actual, strict=True)]
        naive += [abs(known[h % WEEK - WEEK] - value) for h, value in enumerate(actual)]
    return Backtest(round(fmean(errors), 2), round(fmean(naive), 2), horizon, len(origins))


def robust_z(y: Sequence[float], period: int) -> Iterator[tuple[int, float]]:
    """(index, modified z-score): distance from the weekday's median in MADs (Iglewicz & Hoaglin 1993).

    A steady trend alone stays under 1.4. Where most days are 0, only the days with revenue are scored, and
    against each other (as Croston does, FPP3 13.2): an occasional buyer's every order would stand out.
    """
    usual = [median(y[i::period]) for i in range(min(period, len(y)))]
    days = [t for t, value in enumerate(y) if value > 0]
    if 2 * len(days) >= len(y):
        days = list(range(len(y)))
    if not days:
        return
    rest = [y[t] - usual[t % period] for t in days]
    middle = median(rest)
    distances = [abs(value - middle) for value in rest]
    # The factors make either a normal deviation; the MAD is 0 if most are equal, then the mean distance serves.
    scale = max(1.4826 * median(distances) or 1.2533 * fmean(distances), CENT)
    yield from ((t, (value - middle) / scale) for t, value in zip(days, rest, strict=True))


def _revenue(amount: float) -> float:
    return max(0.0, round(amount, 2))
