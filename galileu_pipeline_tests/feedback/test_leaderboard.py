"""The leaderboard against an independent fit, and against voters who do not look at the answers."""

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize
from typer.testing import CliRunner

from galileu_pipeline.cli import app
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.feedback.analytics.leaderboard import Leaderboard, Vote, leaderboard, rank
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import empty_warehouse, import_file, side_by_side
from galileu_pipeline_tests.feedback.test_imports import json_lines

STRENGTHS = {"a": 1.0, "b": 0.3, "c": -0.3, "d": -1.0}
TIE = 0.2


def simulated(count: int, *, left: float = 0.0, length: float = 0.0, people: int = 60, seed: int = 0) -> list[Vote]:
    """Votes of people who see the models' strengths, and whom side and length please."""
    random = np.random.default_rng(seed)
    votes = []
    for number in range(count):
        one, other = (str(name) for name in random.choice(list(STRENGTHS), 2, replace=False))
        sizes = random.integers(50, 400, 2)
        advantage = STRENGTHS[one] - STRENGTHS[other] + left + length * float(np.log2(sizes[0] / sizes[1]))
        logits = np.array([advantage / 2, -advantage / 2, TIE])
        shares = np.exp(logits) / np.exp(logits).sum()
        verdict = str(random.choice(["left", "right", "tie"], p=shares))
        votes.append(Vote(one, other, verdict, f"p{number % people:03}", int(sizes[0]), int(sizes[1])))
    return votes


def elo(found: Leaderboard) -> dict[str, float]:
    return {standing.model: standing.rating.value for standing in found.standings}


def test_known_strengths_are_found() -> None:
    found = rank(simulated(4_000, left=0.4, length=0.3))
    assert [standing.model for standing in found.standings] == list(STRENGTHS)
    for standing in found.standings:
        true = 1000 + 400 / np.log(10) * STRENGTHS[standing.model]
        assert standing.rating.low - 15 <= true <= standing.rating.high + 15
        assert standing.rating.high - standing.rating.low < 100
    assert found.left_wins.low > 0.5
    assert found.left_wins.value == pytest.approx(1 / (1 + np.exp(-0.4)), abs=0.03)
    assert found.longer_wins.value == pytest.approx(1 / (1 + np.exp(-0.3)), abs=0.03)
    assert found.outliers == []
    assert found.capped == []


def test_an_independent_fit_agrees() -> None:
    """Davidson's likelihood as his paper writes it, with strengths as such and not as logarithms."""
    votes = simulated(1_500, seed=1)
    order = sorted(STRENGTHS)
    left, right = (np.array([order.index(vote[side]) for vote in votes]) for side in (0, 1))
    verdicts = np.array([vote.verdict for vote in votes])

    def loss(parameters: Any) -> float:
        worth, nu = parameters[:4], parameters[4]
        both = worth[left] + worth[right] + nu * np.sqrt(worth[left] * worth[right])
        won = np.where(verdicts == "left", worth[left], worth[right])
        said = np.where(verdicts == "tie", nu * np.sqrt(worth[left] * worth[right]), won)
        return float(-np.log(said / both).sum() + (np.log(worth).sum()) ** 2)

    worth = optimize.minimize(loss, np.ones(5), bounds=[(1e-3, None)] * 5).x[:4]
    strengths = np.log(worth) - np.log(worth).mean()
    found = elo(rank(votes))
    for name, strength in zip(order, strengths, strict=True):
        assert found[name] == pytest.approx(1000 + 400 / np.log(10) * strength, abs=12)


def test_ties_and_both_bad_are_counted_and_one_who_always_won_is_finite() -> None:
    said = ["left", "left", "left", "tie", "both_bad", "both_bad"]
    found = rank([Vote("a", "b", verdict, person, 9, 9) for verdict, person in zip(said, "uvwxyz", strict=True)])
    best, worst = found.standings
    assert (best.model, best.wins, best.losses, best.ties, best.both_bad, best.votes) == ("a", 3, 0, 1, 2, 6)
    assert (worst.wins, worst.losses) == (0, 3)
    assert 1000 < best.rating.value < 2500


def test_one_who_gives_most_of_the_votes_against_everybody_else_is_named_and_changes_little() -> None:
    honest = simulated(1_500)
    before = elo(rank(honest))
    sides = (("d", "a", "left"), ("a", "d", "right"))
    found = rank([*honest, *(Vote(*sides[number % 2], "troll", 100, 100) for number in range(1_500))])
    assert [(outlier.person, outlier.votes, outlier.why) for outlier in found.outliers] == [
        ("troll", 1_500, "against everybody else")
    ]
    assert found.capped == ["troll"]
    assert elo(found) == pytest.approx(before, abs=5)


def test_one_who_always_clicks_left_is_named() -> None:
    one_sided = [Vote(one, other, "left", "lefty", 100, 100) for one, other in permutations(STRENGTHS, 2)]
    votes = [*simulated(1_500), *one_sided * 5]
    assert ("lefty", "always the same side") in [(found.person, found.why) for found in rank(votes).outliers]


def test_from_the_warehouse(tmp_path: Path) -> None:
    warehouse = empty_warehouse(tmp_path / "x.duckdb")
    with warehouse.open() as connection:
        assert leaderboard(connection) is None
    rows = [side_by_side(number, "right", "old", "new") for number in range(8)]
    unknown = {**side_by_side(20, "left", "new", "old"), "model_left": None}
    import_file(warehouse, json_lines(tmp_path / "x.jsonl", [*rows, side_by_side(9, "left", "new", "new"), unknown]))
    with warehouse.open() as connection:
        found = leaderboard(connection)
    assert found is not None
    assert [(standing.model, standing.wins, standing.votes) for standing in found.standings] == [
        ("new", 8, 8),
        ("old", 0, 8),
    ]
    assert (found.votes, found.people) == (8, 8)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALILEU_DATA_DIR", str(tmp_path))
    assert "Nobody has compared" in CliRunner().invoke(app, ["leaderboard"]).stderr
    warehouse = Warehouse(DataFolder(tmp_path).warehouse)
    import_file(
        warehouse,
        json_lines(tmp_path / "x.jsonl", [side_by_side(number, "right", "old", "new") for number in range(8)]),
    )
    shown = CliRunner().invoke(app, ["leaderboard"])
    assert (shown.exit_code, shown.stdout.index("new") < shown.stdout.index("old")) == (0, True)
    printed = Leaderboard.model_validate_json(CliRunner().invoke(app, ["leaderboard", "--json"]).stdout)
    assert printed.standings[0].model == "new"
