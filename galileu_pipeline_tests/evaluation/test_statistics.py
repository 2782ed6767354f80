"""Figures with their uncertainty, and the pictures of training."""

import numpy as np
import pytest

from galileu_pipeline.evaluation.curves import plot_curves
from galileu_pipeline.evaluation.statistics import (
    bootstrap,
    lower_bound,
    mean,
    preference_accuracy,
    proportion,
    rank_correlation,
    ratio_of_means,
    win_rate,
)


def test_exact_interval_by_hand() -> None:
    # With no success the upper end solves (1 - p)^n = 0.025.
    none = proportion(0, 10)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 10), abs=1e-6)
    every = proportion(10, 10)
    assert every.low == pytest.approx(0.025 ** (1 / 10), abs=1e-6)


def test_beating_chance_takes_the_whole_interval() -> None:
    assert not proportion(6, 10).beats_chance
    assert not proportion(8, 10).beats_chance
    assert proportion(9, 10).beats_chance


def test_ties_are_counted_apart() -> None:
    found = preference_accuracy([1.0, 2.0, 0.0, 5.0], [1.0, 1.0, 1.0, 1.0])
    assert (found.n, found.ties) == (3, 1)
    assert found.value == pytest.approx(2 / 3, abs=1e-6)


def test_of_nothing_but_ties_nothing_is_known() -> None:
    found = preference_accuracy([1.0, 2.0], [1.0, 2.0])
    assert (found.value, found.low, found.high, found.n, found.ties) == (0.5, 0.0, 1.0, 0, 2)


def test_no_pairs_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"."):
        proportion(0, 0)


def test_rank_correlation() -> None:
    rising, falling = (rank_correlation(scores, [0.1, 0.2, 0.9]) for scores in ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]))
    assert rising is not None
    assert falling is not None
    assert (rising.value, falling.value) == (1.0, -1.0)
    assert rank_correlation([1.0, 1.0, 1.0], [0.1, 0.2, 0.9]) is None
    assert rank_correlation([1.0, 2.0], [0.1, 0.2]) is None


@pytest.mark.parametrize(
    "margin",
    [
        {},
        {"rewards/margins": 0.1, "eval_rewards/margins": 0.2},
        {"margin": 0.1},
        {"reward": 1.0, "kl": 0.1, "eval_kl": 0.2},
    ],
)
def test_curves_are_a_png_and_the_same_each_time(margin: dict[str, float]) -> None:
    log = [{"step": 1, "loss": 0.7, **margin}, {"step": 2, "loss": 0.6, "eval_loss": 0.65}]
    png = plot_curves(log, "dpo_model-0123")
    assert png.startswith(b"\x89PNG")
    assert png == plot_curves(log, "dpo_model-0123")
    assert len(png) < 60_000


def test_a_win_rate_without_ties_has_the_exact_interval() -> None:
    assert win_rate(8, 0, 10).model_dump(include={"value", "low", "high", "n"}) == proportion(8, 10).model_dump()
    found = win_rate(6, 4, 10)
    assert (found.value, found.losses) == (0.8, 0)
    assert lower_bound(found, 0.99) < found.low == pytest.approx(lower_bound(found, 0.95), abs=1e-6)


def test_all_ties_are_even() -> None:
    found = win_rate(0, 20, 20)
    assert found.value == 0.5
    assert found.low < 0.5 < found.high


@pytest.mark.parametrize(("wins", "ties", "n"), [(0, 0, 0), (2, 2, 3), (-1, 0, 3)])
def test_counts_that_cannot_be_are_refused(wins: int, ties: int, n: int) -> None:
    with pytest.raises(ValueError, match="wins and"):
        win_rate(wins, ties, n)


def test_the_bootstrap_agrees_with_theory_and_with_itself() -> None:
    numbers = np.random.default_rng(1).normal(3.0, 2.0, 400).tolist()
    found = bootstrap(lambda sample: sample.mean(), numbers)
    exact = mean(numbers)
    assert (found.value, found.n) == (exact.value, 400)
    assert found.low == pytest.approx(exact.low, abs=0.05)
    assert found.high == pytest.approx(exact.high, abs=0.05)
    assert found == bootstrap(lambda sample: sample.mean(), numbers)


def test_a_ratio_of_means() -> None:
    found = ratio_of_means([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)
    assert ratio_of_means([3.0], [2.0]).value == 1.5
