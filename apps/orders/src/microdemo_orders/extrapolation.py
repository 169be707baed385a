"""Daily series continued: point forecasts and their standard errors, by three additive models.

    linear     trend and weekday dummies by least squares                          FPP3 7.4, 7.6
    smoothing  simple, Holt's and Holt-Winters' method, ETS(A,N|A,N|A)             FPP3 8.1-8.3, 8.5-8.7

`period` is 7 with a weekday pattern and 1 without; y[t] belongs to weekday t % period. Nothing is rounded or
cut at 0 here. FPP3 is Hyndman & Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., OTexts 2021.
Why this is not statsmodels is in docs/adr/0005; the tests compare the two.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, product
from math import sqrt
from statistics import NormalDist, fmean, linear_regression, median
from typing import Final, NamedTuple

__all__ = [
    "Paths",
    "State",
    "Trend",
    "Weights",
    "initial_state",
    "linear",
    "project",
    "regress",
    "smooth",
    "smoothing",
    "t_quantile",
]

RECENT: Final = 28
TOLERANCE: Final = 0.01


class Paths(NamedTuple):
    """Means and standard errors of the days to come, and the degrees of freedom of those errors."""

    means: list[float]
    errors: list[float]
    freedom: int

    def margins(self, confidence: float) -> list[float]:
        """Half widths. Weekdays' least-squares errors differ by a hair: a later day is never made surer."""
        quantile = t_quantile((1 + confidence) / 2, self.freedom)
        return [quantile * error for error in accumulate(self.errors, max)]


class Trend(NamedTuple):
    """Parallel lines, one for each weekday (or one in all), through that weekday's mean day and mean value."""

    slope: float
    days: list[float]
    values: list[float]
    spread: float
    """Sum of the squared distances of all days from their weekday's mean day."""

    def at(self, t: int) -> float:
        i = t % len(self.days)
        return self.values[i] + self.slope * (t - self.days[i])


def regress(y: Sequence[float], period: int, *, sloped: bool = True) -> Trend:
    """Least squares on trend and dummies (FPP3 7.4); centred by weekday, that is one simple regression."""
    n = len(y)
    days = [fmean(range(i, n, period)) for i in range(period)]
    values = [fmean(y[i::period]) for i in range(period)]
    x = [t - days[t % period] for t in range(n)]
    slope = linear_regression(x, y, proportional=True).slope if sloped else 0.0
    return Trend(slope, days, values, sum(distance * distance for distance in x))


def linear(y: Sequence[float], period: int, horizon: int) -> Paths:
    """Extends the trend; the prediction errors are those of least squares (FPP3 7.6), not an approximation."""
    n = len(y)
    trend = regress(y, period)
    freedom = n - period - 1
    variance = sum((value - trend.at(t)) ** 2 for t, value in enumerate(y)) / freedom

    def error(t: int) -> float:
        i = t % period
        return sqrt(variance * (1 + 1 / len(y[i::period]) + (t - trend.days[i]) ** 2 / trend.spread))

    ahead = range(n, n + horizon)
    return Paths([trend.at(t) for t in ahead], [error(t) for t in ahead], freedom)


class Weights(NamedTuple):
    """Smoothing weights of the error-correction form (FPP3 8.5); beta is alpha times Holt's beta*."""

    alpha: float
    beta: float = 0.0
    gamma: float = 0.0


class State(NamedTuple):
    """Level and trend per day on the last day seen, and what each weekday adds to them."""

    level: float
    trend: float
    seasons: list[float]


def smooth(y: Sequence[float], start: State, weights: Weights) -> tuple[State, float]:
    """The state after `y`, and the sum of the squared one-day errors on the way."""
    alpha, beta, gamma = weights
    level, trend, seasons = start.level, start.trend, start.seasons.copy()
    period, squares = len(seasons), 0.0
    for t, value in enumerate(y):
        i = t % period
        error = value - level - trend - seasons[i]
        level += trend + alpha * error
        trend += beta * error
        seasons[i] += gamma * error
        squares += error * error
    return State(level, trend, seasons), squares


def project(state: State, weights: Weights, n: int, horizon: int) -> tuple[list[float], list[float]]:
    """Means of the days after the n-th, and variances as multiples of the one-day variance (FPP3 8.7)."""
    level, trend, seasons = state
    period = len(seasons)
    means = [level + h * trend + seasons[(n + h - 1) % period] for h in range(1, horizon + 1)]
    shares = (weights.alpha + weights.beta * h + (0.0 if h % period else weights.gamma) for h in range(1, horizon))
    return means, list(accumulate((share * share for share in shares), initial=1.0))


def initial_state(y: Sequence[float], period: int, *, trend: bool) -> State:
    """The regression's line and weekdays on the day before the first: weights of 0 never leave them."""
    line = regress(y, period, sloped=trend)
    week = [line.at(t) - t * line.slope for t in range(period)]
    return State(fmean(week) - line.slope, line.slope, [value - fmean(week) for value in week])


def smoothing(y: Sequence[float], period: int, horizon: int, *, trend: bool) -> Paths:
    """Takes the weights with the least squared error: maximum likelihood if errors are additive (FPP3 8.6).

    They stay in 0 <= beta <= alpha <= 1 and 0 <= gamma <= 1 - alpha; and at 0 while most recent days are 0, as
    for an occasional buyer: two orders in a row would otherwise be taken for a new daily level.
    """
    n = len(y)
    start = initial_state(y, period, trend=trend)
    dimensions = 1 + trend + (period > 1)

    def weigh(point: Sequence[float]) -> Weights:
        alpha = point[0]
        return Weights(
            alpha,
            beta=alpha * point[1] if trend else 0.0,
            gamma=(1 - alpha) * point[-1] if period > 1 else 0.0,
        )

    sparse = median(y[-RECENT:]) == 0
    point = [0.0] * dimensions if sparse else _minimum(lambda p: smooth(y, start, weigh(p))[1], dimensions)
    weights = weigh(point)
    state, squares = smooth(y, start, weights)
    means, variances = project(state, weights, n, horizon)
    freedom = max(1, n - dimensions - period - trend)
    return Paths(means, [sqrt(squares / freedom * variance) for variance in variances], freedom)


def _minimum(loss: Callable[[Sequence[float]], float], dimensions: int) -> Sequence[float]:
    """Coordinate search over the unit cube with halving steps, from the best point of a coarse grid."""
    least, best = min((loss(point), point) for point in product((0.0, 0.1, 0.5), repeat=dimensions))
    step = 0.2
    while step > TOLERANCE:
        before = least
        for i, move in product(range(dimensions), (step, -step)):
            moved = min(1.0, max(0.0, best[i] + move))
            point = (*best[:i], moved, *best[i + 1 :])
            least, best = min((least, best), (loss(point), point))
        if least == before:
            step /= 2
    return best


def t_quantile(probability: float, freedom: int) -> float:
    """Student's t by Fisher's expansion (Abramowitz & Stegun 26.7.5), within 0.1% from 12 degrees of freedom."""
    z = NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term * float(freedom) ** -power for power, term in enumerate(terms))
