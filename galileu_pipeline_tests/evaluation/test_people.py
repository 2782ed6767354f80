"""People's verdict on two models, and that one may look at it after every vote."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from galileu_pipeline.evaluation.people import PeoplesVerdict, peoples_verdict
from galileu_pipeline.evaluation.sequences import confidence_sequence, is_decided, more_needed, one_sided_ends
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import import_file, side_by_side
from galileu_pipeline_tests.feedback.test_imports import json_lines

TRIALS, VOTES = 2_000, 300


def test_of_two_equal_models_none_is_preferred_however_often_one_looks() -> None:
    votes = np.random.default_rng(0).choice([0.0, 0.5, 1.0], p=[0.4, 0.2, 0.4], size=(TRIALS, VOTES))
    assert is_decided(votes, 0.5, 0.95)[:, -1].mean() <= 0.05

    # The exact interval, looked at after every vote that decides, is wrong far more often than it says.
    decided = np.random.default_rng(1).integers(0, 2, size=(TRIALS, VOTES))
    won, given_so_far = decided.cumsum(axis=-1), np.arange(1, VOTES + 1)
    low = stats.beta.ppf(0.025, won, given_so_far - won + 1)
    high = stats.beta.ppf(0.975, won + 1, given_so_far - won)
    assert ((low > 0.5) | (high < 0.5)).any(axis=-1).mean() > 0.2


def test_a_better_model_is_found_to_be_better() -> None:
    votes = (np.random.default_rng(2).random((TRIALS, VOTES)) < 0.7).astype(float)
    assert is_decided(votes, 0.5, 0.95)[:, -1].mean() >= 0.95


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), max_size=60))
def test_the_interval_narrows_and_mirrors(votes: list[float]) -> None:
    low, high = confidence_sequence(votes, 0.95)
    assert 0 <= low <= high <= 1
    before = confidence_sequence(votes[:-1], 0.95)
    if (low, high) != (0, 1):
        assert before[0] - 1e-5 <= low <= high <= before[1] + 1e-5
    mirrored = confidence_sequence([1 - vote for vote in votes], 0.95)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-5)


def test_each_end_alone_is_that_of_the_interval() -> None:
    votes = (np.random.default_rng(5).random(200) < 0.6).astype(float)
    for number in (1, 10, 50, 200):
        assert one_sided_ends(votes[:number], 0.95) == pytest.approx(
            confidence_sequence(votes[:number], 0.95), abs=1e-4
        )
    assert one_sided_ends([], 0.95) == (0.0, 1.0)


def test_after_a_change_of_mind_each_end_holds_for_its_own_time() -> None:
    votes = [1.0] * 40 + [0.0] * 400
    assert confidence_sequence(votes, 0.95) == (0.0, 1.0)  # no one mean explains them
    low, high = one_sided_ends(votes, 0.95)
    assert high < 0.5 < low


def test_the_interval_is_what_is_not_excluded() -> None:
    votes = (np.random.default_rng(3).random(200) < 0.8).astype(float)
    low, high = confidence_sequence(votes, 0.95)
    for mean, inside in ((low - 0.002, False), (low + 0.002, True), (high - 0.002, True), (high + 0.002, False)):
        assert is_decided(votes, mean, 0.95)[-1] != inside
    assert low < 0.8 < high


@pytest.mark.parametrize("votes", [[1.5], [-0.1, 0.2]])
def test_what_is_no_share_is_refused(votes: list[float]) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        confidence_sequence(votes, 0.95)


def test_as_many_more_as_it_says_decide() -> None:
    votes = [1.0, 1.0, 0.0, 1.0]
    more = more_needed(votes, 0.95)
    assert more is not None
    assert more_needed(np.resize(votes, len(votes) + more), 0.95) == 0
    assert more_needed(np.resize(votes, len(votes) + more - 1), 0.95) != 0
    assert more_needed([1.0, 0.0], 0.95) is None
    assert more_needed([], 0.95) is None


def verdict_on(tmp_path: Path, *rows: dict[str, Any]) -> PeoplesVerdict:
    warehouse = Warehouse(tmp_path / "x.duckdb")
    import_file(warehouse, json_lines(tmp_path / "votes.jsonl", list(rows)))
    with warehouse.open() as connection:
        return peoples_verdict(connection, "new", "old")


def test_votes_count_for_the_model_wherever_it_stood(tmp_path: Path) -> None:
    found = verdict_on(
        tmp_path,
        side_by_side(1, "left", "new", "old"),
        side_by_side(2, "right", "old", "new"),
        side_by_side(3, "left", "old", "new"),
        side_by_side(4, "tie", "old", "new"),
        side_by_side(5, "both_bad", "new", "old"),
        side_by_side(6, "left", "new", "another"),
    )
    assert (found.votes, found.wins, found.losses, found.ties, found.both_bad) == (5, 2, 1, 1, 1)
    assert found.win_rate == 0.6
    assert found.better is None


def test_a_persons_last_vote_on_the_same_answers_counts(tmp_path: Path) -> None:
    first = side_by_side(1, "left", "new", "old", timestamp="2026-08-01T10:00:00Z")
    found = verdict_on(tmp_path, first, {**first, "feedback_id": "2", "verdict": "right", "timestamp": "2026-08-02"})
    assert (found.wins, found.losses) == (0, 1)


def test_enough_votes_decide(tmp_path: Path) -> None:
    found = verdict_on(tmp_path, *(side_by_side(number, "right", "old", "new") for number in range(40)))
    assert found.better == "new"
    assert found.more_votes == 0


def test_without_votes_nothing_is_known(tmp_path: Path) -> None:
    found = verdict_on(tmp_path, side_by_side(1, "left", "new", "another"))
    assert (found.votes, found.win_rate, found.low, found.high, found.more_votes) == (0, None, 0, 1, None)
