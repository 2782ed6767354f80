"""Figures with their uncertainty."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import stats

CONFIDENCE = 0.95


class Proportion(BaseModel):
    """A share of `n` trials with its exact 95 % interval (Clopper & Pearson 1934)."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float
    n: int

    @property
    def beats_chance(self) -> bool:
        """The whole interval lies above one half."""
        return self.low > 0.5

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n={self.n}"


def proportion(successes: int, n: int) -> Proportion:
    """`successes` of `n`, both counts.

    Raises:
        ValueError: `n` is 0.
    """
    interval = stats.binomtest(successes, n).proportion_ci(CONFIDENCE, method="exact")
    return Proportion(value=round(successes / n, 6), low=round(interval.low, 6), high=round(interval.high, 6), n=n)


def preference_accuracy(chosen: Sequence[float], rejected: Sequence[float]) -> Proportion:
    """How often the chosen answer scores above the rejected one, (N,) each; a tie is a miss."""
    wins = np.asarray(chosen) > np.asarray(rejected)
    return proportion(int(wins.sum()), len(wins))


def rank_correlation(scores: Sequence[float], ratings: Sequence[float]) -> float | None:
    """Spearman's rho of a model's scores and people's mean scores; None where one of them is constant."""
    if len(scores) < 3 or np.ptp(scores) == 0 or np.ptp(ratings) == 0:
        return None
    return round(float(stats.spearmanr(scores, ratings).statistic), 6)
