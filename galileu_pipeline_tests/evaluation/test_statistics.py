"""Figures with their uncertainty, and the pictures of training."""

import pytest

from galileu_pipeline.evaluation.curves import plot_curves
from galileu_pipeline.evaluation.statistics import preference_accuracy, proportion, rank_correlation


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


def test_a_tie_is_a_miss() -> None:
    assert preference_accuracy([1.0, 2.0, 0.0, 5.0], [1.0, 1.0, 1.0, 1.0]).value == 0.5


def test_no_pairs_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"."):
        proportion(0, 0)


def test_rank_correlation() -> None:
    assert rank_correlation([1.0, 2.0, 3.0], [0.1, 0.2, 0.9]) == 1.0
    assert rank_correlation([3.0, 2.0, 1.0], [0.1, 0.2, 0.9]) == -1.0
    assert rank_correlation([1.0, 1.0, 1.0], [0.1, 0.2, 0.9]) is None
    assert rank_correlation([1.0, 2.0], [0.1, 0.2]) is None


@pytest.mark.parametrize("margin", [{}, {"rewards/margins": 0.1, "eval_rewards/margins": 0.2}, {"margin": 0.1}])
def test_curves_are_a_png_and_the_same_each_time(margin: dict[str, float]) -> None:
    log = [{"step": 1, "loss": 0.7, **margin}, {"step": 2, "loss": 0.6, "eval_loss": 0.65}]
    png = plot_curves(log, "dpo_model-0123")
    assert png.startswith(b"\x89PNG")
    assert png == plot_curves(log, "dpo_model-0123")
    assert len(png) < 60_000
