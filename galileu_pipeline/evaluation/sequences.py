"""Intervals that hold however often one looks: a confidence sequence for the mean of numbers from 0 to 1.

An exact binomial interval that is looked at after every vote misses the truth far more often than it says; one that is
valid at all times at once may be looked at every day, and acted on at any.

Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (arXiv 2010.09686), theorem 3
(hedged capital) with the predictable bets of equation 26.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GRID = 1_000  # means that are tried; the interval is as exact as they are dense
_BOLDEST = 0.5  # share of the capital that is staked at most, so that a single number never takes all of it
_NUMBERS_AT_ONCE = 2_000_000  # held in memory


def confidence_sequence(values: ArrayLike, confidence: float) -> tuple[float, float]:
    """The interval after the last of `values`, (N,), numbers from 0 to 1 in the order in which they came.

    It is the intersection of all that came before. With no values it is (0, 1).

    Raises:
        ValueError: a number is not from 0 to 1.
    """
    numbers = np.asarray(values, dtype=float)
    if numbers.size and not (numbers.min() >= 0 and numbers.max() <= 1):
        raise ValueError("a confidence sequence is for numbers from 0 to 1")
    grid = np.linspace(0, 1, _GRID + 1)
    if not numbers.size:
        return 0.0, 1.0
    parts = np.array_split(grid, min(len(grid), 1 + len(grid) * numbers.size // _NUMBERS_AT_ONCE))
    richest = np.concatenate([hedged_capital(numbers, part[:, None], 1 - confidence).max(axis=-1) for part in parts])
    kept = grid[richest < np.log(1 / (1 - confidence))]
    if not kept.size:  # numbers that no mean explains, such as a drift; all that can be said is where they are now
        return 0.0, 1.0
    step = 1 / _GRID  # the ends lie between a mean that is excluded and one that is not
    return max(0.0, float(kept[0]) - step), min(1.0, float(kept[-1]) + step)


def hedged_capital(values: ArrayLike, mean: ArrayLike, error_rate: float) -> NDArray[np.float64]:
    """Log of what somebody owns who bets, half on each side, that the mean of `values` is not `mean`.

    If it is, the chance that this ever reaches log(1 / error_rate) is at most `error_rate`.

    Args:
        values: (..., N), from 0 to 1, in the order in which they came.
        mean: broadcasts with `values`.

    Returns:
        (..., N), after each of the values.
    """
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
    return np.maximum(up, down) + np.log(0.5)


def more_needed(values: ArrayLike, confidence: float, mean: float = 0.5, most: int = 100_000) -> int | None:
    """About how many more numbers exclude `mean`, if those to come are as those that came; None for more than `most`.

    0 where it is excluded already.
    """
    numbers = np.asarray(values, dtype=float)
    if not numbers.size or numbers.mean() == mean:
        return None
    repeated = np.resize(numbers, numbers.size + most)
    rich = hedged_capital(repeated, mean, 1 - confidence) >= np.log(1 / (1 - confidence))
    return max(0, int(rich.argmax()) + 1 - numbers.size) if rich.any() else None
