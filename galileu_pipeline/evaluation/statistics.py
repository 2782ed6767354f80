"""How figures get their uncertainty."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from galileu_pipeline.evaluation.estimates import Estimate, Mean, PreferenceAccuracy, Proportion, WinRate

CONFIDENCE = 0.95
_RESAMPLES = 2_000
_NUMBERS_AT_ONCE = 1_000_000  # drawn, and held in memory


def win_rate(wins: int, ties: int, n: int) -> WinRate:
    """Of `n` comparisons, `wins` won and `ties` even.

    Raises:
        ValueError: there are none, or more won and even than there are.
    """
    if n < 1 or wins < 0 or ties < 0 or wins + ties > n:
        raise ValueError(f"{wins} wins and {ties} ties of {n}")
    points = wins + ties / 2
    low, high = _clopper_pearson(points, n, CONFIDENCE)
    return WinRate(value=round(points / n, 6), low=round(low, 6), high=round(high, 6), n=n, wins=wins, ties=ties)


def lower_bound(found: WinRate, confidence: float) -> float:
    """The lower end of its two-sided interval of that confidence."""
    return _clopper_pearson(found.wins + found.ties / 2, found.n, confidence)[0]


def _clopper_pearson(points: float, n: int, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, points, n - points + 1)) if points > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, points + 1, n - points)) if points < n else 1.0
    return low, high


def proportion(successes: int, n: int) -> Proportion:
    """`successes` of `n`, both counts.

    Raises:
        ValueError: `n` is 0.
    """
    interval = stats.binomtest(successes, n).proportion_ci(CONFIDENCE, method="exact")
    return Proportion(value=round(successes / n, 6), low=round(interval.low, 6), high=round(interval.high, 6), n=n)


def preference_accuracy(chosen: Sequence[float], rejected: Sequence[float]) -> PreferenceAccuracy:
    """How often the chosen answer scores above the rejected one, (N,) each; ties are counted apart.

    Where all are ties nothing is known: 0.5, of anything from 0 to 1.
    """
    margins = np.asarray(chosen, dtype=float) - np.asarray(rejected, dtype=float)
    ties = int((margins == 0).sum())
    decided = len(margins) - ties
    if decided == 0:
        return PreferenceAccuracy(value=0.5, low=0.0, high=1.0, n=0, ties=ties)
    share = proportion(int((margins > 0).sum()), decided)
    return PreferenceAccuracy(**share.model_dump(), ties=ties)


def mean(values: Sequence[float]) -> Mean:
    """Of numbers that are independent of one another; of a single one the interval is that number.

    Raises:
        ValueError: there are none.
    """
    if len(values) == 0:
        raise ValueError("the mean of no numbers")
    middle = float(np.mean(values))
    spread = float(stats.sem(values)) if len(values) > 1 else 0.0
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * spread if spread > 0 else 0.0
    return Mean(value=round(middle, 6), low=round(middle - margin, 6), high=round(middle + margin, 6), n=len(values))


def rank_correlation(scores: Sequence[float], ratings: Sequence[float]) -> Estimate | None:
    """Spearman's rho of a model's scores and people's mean scores; None where one of them is constant."""
    if len(scores) < 3 or np.ptp(scores) == 0 or np.ptp(ratings) == 0:
        return None
    return bootstrap(_spearman, scores, ratings)


def _spearman(one: Any, other: Any) -> float:
    """0 where a resample happens to be constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(stats.rankdata(one), stats.rankdata(other))[0, 1])


def bootstrap(statistic: Callable[..., float], *samples: Sequence[float]) -> Estimate:
    """`statistic` of samples of one length, drawn together, with its percentile bootstrap interval (Efron 1979).

    The same numbers give the same interval.

    Raises:
        ValueError: the samples are empty.
    """
    columns = [np.asarray(sample, dtype=float) for sample in samples]
    value = float(statistic(*columns))
    if len(columns[0]) < 2:
        low = high = value
    else:
        interval = stats.bootstrap(
            columns,
            statistic,
            paired=True,
            vectorized=False,
            n_resamples=_RESAMPLES,
            batch=max(1, _NUMBERS_AT_ONCE // len(columns[0])),
            confidence_level=CONFIDENCE,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        low, high = float(interval.low), float(interval.high)
    return Estimate(value=round(value, 6), low=round(low, 6), high=round(high, 6), n=len(columns[0]))


def ratio_of_means(numerator: Sequence[float], denominator: Sequence[float]) -> Estimate:
    """Mean of one over mean of the other, paired numbers from 0, with its bootstrap interval.

    A denominator below 1 counts as 1, so that a model which says nothing at all makes no infinite ratio.
    """
    return bootstrap(lambda one, other: one.mean() / max(other.mean(), 1.0), numerator, denominator)
