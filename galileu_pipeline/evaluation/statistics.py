"""How figures get their uncertainty."""

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

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


def upper_bound(found: WinRate, confidence: float) -> float:
    """The upper end likewise."""
    return _clopper_pearson(found.wins + found.ties / 2, found.n, confidence)[1]


def _clopper_pearson(points: float, n: float, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(points, n - points + 1, tail)) if points > 0 else 0.0
    high = float(special.betaincinv(points + 1, n - points, 1 - tail)) if points < n else 1.0
    return low, high


def proportion(successes: int, n: int) -> Proportion:
    """`successes` of `n`, both counts.

    Raises:
        ValueError: `n` is 0, or less than `successes`.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes of {n}")
    low, high = _clopper_pearson(successes, n, CONFIDENCE)
    return Proportion(value=round(successes / n, 6), low=round(low, 6), high=round(high, 6), n=n)


def preference_accuracy(
    chosen: Sequence[float], rejected: Sequence[float], questions: Sequence[Hashable]
) -> PreferenceAccuracy:
    """How often the chosen answer scores above the rejected one; ties are counted apart.

    Where all are ties nothing is known: 0.5, of anything from 0 to 1.

    Args:
        chosen: scores of N pairs; `rejected` likewise.
        questions: what each pair is about, (N,). Pairs of one question are not independent (`clustered_proportion`).
    """
    margins = np.asarray(chosen, dtype=float) - np.asarray(rejected, dtype=float)
    decided = np.flatnonzero(margins != 0)
    ties = len(margins) - len(decided)
    if len(decided) == 0:
        return PreferenceAccuracy(value=0.5, low=0.0, high=1.0, n=0, ties=ties)
    share = clustered_proportion(margins[decided] > 0, [questions[place] for place in decided.tolist()])
    return PreferenceAccuracy(**share.model_dump(), ties=ties)


def clustered_proportion(successes: Sequence[bool] | NDArray[np.bool_], clusters: Sequence[Hashable]) -> Proportion:
    """A share of N trials, (N,), some of which belong together and come out alike, such as pairs of one question.

    The exact interval of as many independent trials as would vary as much (Korn and Graubard, Survey Methodology 24,
    1998); where each trial stands alone, it is that of `proportion`. A percentile bootstrap over clusters would be of
    no width where all succeed.

    Raises:
        ValueError: there are none.
    """
    right = np.asarray(successes, dtype=float)
    n, successful = len(right), int(right.sum())
    plain = proportion(successful, n)
    numbers: dict[Hashable, int] = {}
    cluster = [numbers.setdefault(name, len(numbers)) for name in clusters]
    groups = len(numbers)
    if groups == n:
        return plain
    share = successful / n
    effective = float(groups)
    if groups > 1 and 0 < share < 1:
        residuals = np.bincount(cluster, right - share)
        variance = groups / (groups - 1) * float(residuals @ residuals) / n**2
        effective = share * (1 - share) / variance if variance > 0 else float(n)
        # Few clusters tell little of how much they vary.
        tail = (1 + CONFIDENCE) / 2
        effective *= (special.stdtrit(n - 1, tail) / special.stdtrit(groups - 1, tail)) ** 2
    effective = min(effective, float(n))
    low, high = _clopper_pearson(share * effective, effective, CONFIDENCE)
    return Proportion(value=plain.value, low=round(low, 6), high=round(high, 6), n=n)


def mcnemar(one: Sequence[bool], other: Sequence[bool]) -> float:
    """The chance, were two models equally often right, of a difference on the same N trials at least as large.

    Exact, by the trials on which just one of them is right (McNemar, Psychometrika 12, 1947).
    """
    gained = sum(mine and not theirs for mine, theirs in zip(one, other, strict=True))
    lost = sum(theirs and not mine for mine, theirs in zip(one, other, strict=True))
    return min(1.0, 2 * float(special.bdtr(min(gained, lost), gained + lost, 0.5)))


def mean(values: Sequence[float]) -> Mean:
    """Of numbers that are independent of one another; of a single one the interval is that number.

    Raises:
        ValueError: there are none.
    """
    if len(values) == 0:
        raise ValueError("the mean of no numbers")
    middle = float(np.mean(values))
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    margin = float(special.stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)) * spread if spread > 0 else 0.0
    return Mean(value=round(middle, 6), low=round(middle - margin, 6), high=round(middle + margin, 6), n=len(values))


def rank_correlation(
    scores: Sequence[float], ratings: Sequence[float], questions: Sequence[Hashable]
) -> Estimate | None:
    """Kendall's tau of a model's scores and people's mean ratings of N answers, (N,) each, within their questions.

    Of two answers to a question that people rate differently, 1 where the model orders them alike, -1 where otherwise,
    0 where it sees no difference; the mean over all such twos. Answers to different questions are not compared: that
    some questions are easier says nothing of a model's judgement. The interval is a bootstrap over questions; `n` are
    the questions that have such twos, and where there are fewer than three the result is None.
    """
    score, rating = np.asarray(scores, dtype=float), np.asarray(ratings, dtype=float)
    members: dict[Hashable, list[int]] = {}
    for place, question in enumerate(questions):
        members.setdefault(question, []).append(place)
    agreed, compared = [], []
    for places in members.values():
        one, other = np.triu_indices(len(places), k=1)
        by_people = np.sign(rating[places][one] - rating[places][other])
        by_model = np.sign(score[places][one] - score[places][other])
        if count := int(np.count_nonzero(by_people)):
            agreed.append(float(by_people @ by_model))
            compared.append(float(count))
    if len(compared) < 3:
        return None
    return bootstrap(lambda alike, all_twos: alike.sum() / all_twos.sum(), agreed, compared)


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
        from scipy import stats  # a second to import, and all else here does without

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
