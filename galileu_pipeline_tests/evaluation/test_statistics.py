"""Figures with their uncertainty, and the pictures of training."""

import numpy as np
import pytest

from galileu_pipeline.evaluation.curves import plot_curves
from galileu_pipeline.evaluation.statistics import (
    bootstrap,
    clustered_proportion,
    lower_bound,
    mcnemar,
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
    found = preference_accuracy([1.0, 2.0, 0.0, 5.0], [1.0, 1.0, 1.0, 1.0], "abcd")
    assert (found.n, found.ties) == (3, 1)
    assert found.value == pytest.approx(2 / 3, abs=1e-6)


def test_of_nothing_but_ties_nothing_is_known() -> None:
    found = preference_accuracy([1.0, 2.0], [1.0, 2.0], "ab")
    assert (found.value, found.low, found.high, found.n, found.ties) == (0.5, 0.0, 1.0, 0, 2)


def test_no_pairs_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"."):
        proportion(0, 0)


def test_rank_correlation_is_that_within_questions() -> None:
    questions = [question for question in "pqrs" for _ in range(3)]
    ratings = [0.1, 0.2, 0.9] * 4
    same, upside_down, blind, once_wrong = [1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 1.0, 1.0], [2.0, 1.0, 3.0]
    for scores, value in ((same, 1.0), (upside_down, -1.0), (blind, 0.0), (once_wrong, 1 / 3)):
        # One question is easier than another, which says nothing.
        shifted = [score + 10 * (place // 3) for place, score in enumerate(scores * 4)]
        found = rank_correlation(shifted, ratings, questions)
        assert found is not None
        assert found.value == pytest.approx(value, abs=1e-6)
        assert found.n == 4
    assert rank_correlation([1.0, 2.0], [0.1, 0.2], "pp") is None
    assert rank_correlation([1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.3, 0.4], "pqrs") is None


def test_pairs_of_one_question_count_for_less() -> None:
    """150 questions of 5 pairs each, which come out alike: intervals that ignore it miss the truth far too often."""
    random = np.random.default_rng(0)
    questions = [number // 5 for number in range(150 * 5)]
    covered = {"clustered": 0, "exact": 0}
    for _ in range(400):
        share_right = random.beta(3, 2, 150)  # of a question's pairs; 0.6 on average
        right = random.random(750) < np.repeat(share_right, 5)
        for name, found in (
            ("clustered", clustered_proportion(right, questions)),
            ("exact", proportion(int(right.sum()), len(right))),
        ):
            covered[name] += found.low <= 0.6 <= found.high
    assert covered["clustered"] >= 0.935 * 400
    assert covered["exact"] < 0.9 * 400


def test_where_each_pair_has_its_own_question_the_interval_is_the_exact_one() -> None:
    right = [True] * 7 + [False] * 3
    assert clustered_proportion(right, range(10)) == proportion(7, 10)
    all_of_two = clustered_proportion([True] * 10, [0] * 5 + [1] * 5)
    assert (all_of_two.value, all_of_two.low, all_of_two.n) == (1.0, proportion(2, 2).low, 10)
    assert clustered_proportion([True, False, True], "aaa").low < 0.05


def test_mcnemar_by_hand() -> None:
    assert mcnemar([True] * 5 + [False] * 3, [False] * 5 + [False] * 3) == pytest.approx(2 * 0.5**5)
    assert mcnemar([True, False], [True, False]) == 1.0
    assert mcnemar([True, False], [False, True]) == 1.0


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
