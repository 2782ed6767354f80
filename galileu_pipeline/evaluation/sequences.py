"""Intervals that hold however often one looks: a confidence sequence for the mean of numbers from 0 to 1.

An exact binomial interval that is looked at after every vote misses the truth far more often than it says; one that is
valid at all times at once may be looked at every day, and acted on at any.

Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (arXiv 2010.09686), theorem 3
(hedged capital) with the predictable bets of equation 26.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_HALVINGS = 20  # of the distance between a mean that is excluded and one that is not
_BOLDEST = 0.5  # share of the capital that is staked at most, so that a single number never takes all of it


def confidence_sequence(values: ArrayLike, confidence: float) -> tuple[float, float]:
    """The interval after the last of `values`, (N,), numbers from 0 to 1 in the order in which they came.

    It is the intersection of all that came before; theorem 3 has it that each of them is an interval. It is (0, 1)
    without values, and where no one mean explains them, as when they drift.

    Raises:
        ValueError: a number is not from 0 to 1.
    """
    numbers = np.asarray(values, dtype=float)
    if not numbers.size:
        return 0.0, 1.0
    if not (numbers.min() >= 0 and numbers.max() <= 1):
        raise ValueError("a confidence sequence is for numbers from 0 to 1")

    def is_excluded(mean: float) -> bool:
        return bool(is_decided(numbers, mean, confidence)[-1])

    middle = float(numbers.mean())
    if is_excluded(middle):
        return 0.0, 1.0
    ends = []
    for outside in (0.0, 1.0):
        inside = middle
        if is_excluded(outside):
            for _ in range(_HALVINGS):
                between = (inside + outside) / 2
                inside, outside = (inside, between) if is_excluded(between) else (between, outside)
        ends.append(outside)
    return ends[0], ends[1]


def is_decided(values: ArrayLike, mean: ArrayLike, confidence: float) -> NDArray[np.bool_]:
    """Whether `values` have excluded `mean` by each of their times, (..., N); once they have, they have for good."""
    error_rate = 1 - confidence
    rich = hedged_capital(values, mean, error_rate) >= np.log(1 / error_rate)
    return np.asarray(np.logical_or.accumulate(rich, axis=-1))


def hedged_capital(values: ArrayLike, mean: ArrayLike, error_rate: float) -> NDArray[np.float64]:
    """Log of what somebody owns who bets, half on each side, that the mean of `values` is not `mean`.

    If it is, the chance that this ever reaches log(1 / error_rate) is at most `error_rate`.

    Args:
        values: (..., N), from 0 to 1, in the order in which they came.
        mean: broadcasts with `values`.

    Returns:
        (..., N), after each of the values.
    """
    return np.maximum(*_capitals(values, mean, error_rate)) + np.log(0.5)


def one_sided_ends(values: ArrayLike, confidence: float) -> tuple[float, float]:
    """The lower and the upper end of `confidence_sequence`, each valid alone, also where the mean drifts.

    The upper end errs only if the numbers' means have all along been above it, the lower one only if they have been
    below; the lower may come to lie above the upper. So a model that was liked only at first has a low upper
    end. (0, 1) without values.
    """
    numbers = np.asarray(values, dtype=float)
    if not numbers.size:
        return 0.0, 1.0
    enough = np.log(2 / (1 - confidence))  # as each side of the hedged capital needs

    def is_excluded(mean: float, side: int) -> bool:
        return bool(_capitals(numbers, mean, 1 - confidence)[side].max() >= enough)

    ends = []
    for side, (outside, inside) in enumerate(((0.0, 1.0), (1.0, 0.0))):
        if is_excluded(outside, side):
            for _ in range(_HALVINGS):
                between = (inside + outside) / 2
                inside, outside = (inside, between) if is_excluded(between, side) else (between, outside)
        ends.append(outside)
    return ends[0], ends[1]


def _capitals(values: ArrayLike, mean: ArrayLike, error_rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log of what somebody owns who bets that the mean is above `mean`, and of who bets that it is below, (..., N)."""
    values, mean = np.asarray(values, dtype=float), np.asarray(mean, dtype=float)
    times = np.arange(1, values.shape[-1] + 1)
    # Each bet knows only what came before it.
    means = (0.5 + np.cumsum(values, axis=-1)) / (times + 1)
    variances = (0.25 + np.cumsum((values - means) ** 2, axis=-1)) / (times + 1)
    before = np.concatenate([np.full_like(variances[..., :1], 0.25), variances[..., :-1]], axis=-1)
    bets = np.sqrt(2 * np.log(2 / error_rate) / (before * times * np.log1p(times)))
    with np.errstate(divide="ignore"):
        above = np.minimum(bets, _BOLDEST / mean)
        below = np.minimum(bets, _BOLDEST / (1 - mean))
    up = np.cumsum(np.log1p(above * (values - mean)), axis=-1)
    down = np.cumsum(np.log1p(-below * (values - mean)), axis=-1)
    return up, down


def more_needed(values: ArrayLike, confidence: float, mean: float = 0.5, most: int = 100_000) -> int | None:
    """About how many more numbers exclude `mean`, if those to come are as those that came; None for more than `most`.

    0 where it is excluded already.
    """
    numbers = np.asarray(values, dtype=float)
    if not numbers.size or numbers.mean() == mean:
        return None
    decided = is_decided(np.resize(numbers, numbers.size + most), mean, confidence)
    return max(0, int(decided.argmax()) + 1 - numbers.size) if decided[-1] else None
