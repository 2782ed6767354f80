"""Accounts that vote alike, at once and against everybody else, are listed; people who agree are not."""

from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from galileu_pipeline.assets.feedback import no_accounts_look_coordinated
from galileu_pipeline.cli.console import app
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.feedback.analytics.coordination import CoordinatedAccounts, coordinated_accounts
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.resources.profile import ProfileResource
from galileu_pipeline.resources.storage import StorageResource
from galileu_pipeline_tests.feedback.conftest import PSEUDONYMS, ChatbotFile, Row, ingest

pytestmark = pytest.mark.slow

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
CROWD = ["ana", "bia", "caio"]


def vote(thing: int, user: str | None, rating: int, seconds: float | None = 0, **more: Any) -> Row:
    """On the answer to a question of that number, so many seconds after the question's own hour."""
    moment = None if seconds is None else (NOON + timedelta(hours=thing, seconds=seconds)).isoformat()
    return {
        "query": f"Pergunta {thing}?",
        "response": "resposta",
        "rating": rating,
        "user_id": user,
        "timestamp": moment,
        **more,
    }


def choice(thing: int, user: str, chosen: str, rejected: str, seconds: float = 0) -> Row:
    moment = (NOON + timedelta(hours=thing, seconds=seconds)).isoformat()
    sides = {"response_chosen": chosen, "response_rejected": rejected}
    return {"query": f"Pergunta {thing}?", **sides, "user_id": user, "timestamp": moment}


def crowd(things: int, rating: int = 5) -> list[Row]:
    """Three people who agree, each at a time of their own."""
    return [
        vote(thing, user, rating, 600 * place) for thing in range(things) for place, user in enumerate(CROWD, start=1)
    ]


class Judged:
    """Feedback in a warehouse, and who looks coordinated."""

    def __init__(self, chatbot: ChatbotFile, warehouse: Warehouse) -> None:
        self.chatbot, self.warehouse = chatbot, warehouse

    def __call__(self, *rows: Row, **variables: float) -> list[CoordinatedAccounts]:
        self.chatbot.votes(*(row for row in rows if "response" in row))
        self.chatbot.choices(*(row for row in rows if "response_chosen" in row))
        ingest(self.warehouse, self.chatbot.path)
        with self.warehouse.open() as connection:
            for name, value in variables.items():
                connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
            return coordinated_accounts(connection)


@pytest.fixture
def judged(chatbot: ChatbotFile, warehouse: Warehouse) -> Judged:
    return Judged(chatbot, warehouse)


def names(pair: CoordinatedAccounts) -> set[str]:
    known = {PSEUDONYMS.of(name): name for name in (*CROWD, *"xyzw")}
    return {known[pair.one], known[pair.other]}


def test_two_accounts_that_always_vote_at_once_against_the_others(judged: Judged) -> None:
    (pair,) = judged(*crowd(4), *(vote(thing, user, 1, 20 * (user == "y")) for thing in range(4) for user in "xy"))
    assert names(pair) == {"x", "y"}
    assert (pair.together, pair.compared, pair.against) == (4, 4, 4)
    assert (pair.first_at, pair.last_at) == (NOON, NOON + timedelta(hours=3, seconds=20))


def test_choices_side_by_side(judged: Judged) -> None:
    honest = (
        choice(thing, user, "a", "b", 600 * place) for thing in range(3) for place, user in enumerate(CROWD, start=1)
    )
    (pair,) = judged(*honest, *(choice(thing, user, "b", "a") for thing in range(3) for user in "xy"))
    assert (names(pair), pair.against) == ({"x", "y"}, 3)


def test_votes_and_choices_count_together(judged: Judged) -> None:
    theirs = [
        *(vote(thing, user, 2) for thing in range(2) for user in "xy"),
        *(choice(9, user, "b", "a") for user in "xy"),
    ]
    (pair,) = judged(*crowd(2), *(choice(9, user, "a", "b", 600) for user in CROWD), *theirs)
    assert (pair.together, pair.against) == (3, 3)


def test_three_accounts_are_three_pairs(judged: Judged) -> None:
    found = judged(*crowd(3), vote(0, "w", 5), *(vote(thing, user, 1) for thing in range(3) for user in "xyz"))
    assert sorted(sorted(names(pair)) for pair in found) == [list(pair) for pair in combinations("xyz", 2)]


@pytest.mark.parametrize(
    ("title", "rows"),
    [
        ("they agree with everybody", [vote(thing, user, 4) for thing in range(5) for user in "xy"]),
        ("only twice", [vote(thing, user, 1) for thing in range(2) for user in "xy"]),
        ("of different opinion", [vote(thing, user, 1 + 4 * (user == "y")) for thing in range(4) for user in "xy"]),
        ("neutral", [vote(thing, user, 3) for thing in range(4) for user in "xy"]),
        ("at different times", [vote(thing, user, 1, 61 * (user == "y")) for thing in range(4) for user in "xy"]),
        ("without a time", [vote(thing, user, 1, None) for thing in range(4) for user in "xy"]),
        ("nobody known", [vote(thing, None, 1, rating_of) for thing in range(4) for rating_of in (0, 5)]),
        ("nobody else voted", [vote(thing, user, 1) for thing in range(20, 25) for user in "xy"]),
        ("one account, again and again", [vote(thing, "x", 1, place) for thing in range(4) for place in range(5)]),
        ("no company", [vote(thing, "x", 1) for thing in range(4)]),
    ],
)
def test_not_listed(judged: Judged, title: str, rows: list[Row]) -> None:
    assert judged(*crowd(5), *rows) == [], title


def test_who_mostly_agrees_is_not_listed(judged: Judged) -> None:
    contrary = [vote(thing, user, 1) for thing in range(3) for user in "xy"]
    agreeing = [vote(thing, "x", 5) for thing in range(3, 6)] + [vote(thing, "y", 5) for thing in range(3, 6)]
    assert judged(*crowd(6), *contrary, *agreeing) == []


def test_nearly_always_is_four_of_five(judged: Judged) -> None:
    (pair,) = judged(*crowd(5), *(vote(thing, user, 1 if thing else 5) for thing in range(5) for user in "xy"))
    assert (pair.compared, pair.against) == (5, 4)


def test_a_class_that_votes_together_with_the_majority_is_not_listed(judged: Judged) -> None:
    pupils = [vote(thing, f"pupil-{pupil}", 5, pupil) for thing in range(5) for pupil in range(30)]
    assert judged(*pupils, *crowd(5), vote(0, "x", 1), vote(1, "x", 1), vote(2, "x", 1)) == []


def test_a_class_of_which_two_mislike_what_the_others_like(judged: Judged) -> None:
    pupils = [vote(thing, f"pupil-{pupil}", 5, pupil) for thing in range(3) for pupil in range(20)]
    (pair,) = judged(*pupils, *(vote(thing, user, 1) for thing in range(3) for user in "xy"))
    assert names(pair) == {"x", "y"}


def test_people_of_nobody_known_are_a_majority_too(judged: Judged) -> None:
    unknown = [vote(thing, None, 5, 600 + place) for thing in range(3) for place in range(2)]
    (pair,) = judged(*unknown, *(vote(thing, user, 1) for thing in range(3) for user in "xy"))
    assert pair.against == 3


def test_an_even_vote_of_the_others_is_no_majority(judged: Judged) -> None:
    even = [vote(thing, user, rating, 600) for thing in range(3) for user, rating in (("ana", 5), ("bia", 1))]
    assert judged(*even, *(vote(thing, user, 1) for thing in range(3) for user in "xy")) == []


def test_the_last_vote_of_an_account_counts(judged: Judged) -> None:
    changed = [vote(thing, "y", 5, 30) for thing in range(3)]
    assert judged(*crowd(3), *(vote(thing, user, 1) for thing in range(3) for user in "xy"), *changed) == []


def test_a_minute_may_begin_before_the_full_one(judged: Judged) -> None:
    theirs = [vote(thing, user, 1, 59 + 40 * (user == "y")) for thing in range(3) for user in "xy"]
    (pair,) = judged(*crowd(3), *theirs)
    assert pair.together == 3


def test_of_a_crowd_only_the_first_accounts_are_looked_at(judged: Judged) -> None:
    honest = [vote(thing, f"honest-{place}", 5, 600 + place) for thing in range(3) for place in range(12)]
    farm = [vote(thing, f"account-{place}", 1, place) for thing in range(3) for place in range(8)]
    assert len(judged(*honest, *farm, max_minute_accounts=4)) == 4 * 3 // 2
    assert len(judged()) == 8 * 7 // 2


def test_the_thresholds_are_variables(judged: Judged) -> None:
    rows = [vote(thing, user, 1) for thing in range(2) for user in "xy"]
    assert len(judged(*crowd(2), *rows, min_together=2, min_compared=2)) == 1
    assert judged(min_together=3, min_compared=2) == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    """A data folder in which x and y look coordinated."""
    monkeypatch.setenv("GALILEU_DATA_DIR", str(tmp_path))
    data = DataFolder(tmp_path)
    chatbot = ChatbotFile(tmp_path / "chatbot.db")
    chatbot.votes(*crowd(3), *(vote(thing, user, 1) for thing in range(3) for user in "xy"))
    ingest(Warehouse(data.warehouse), chatbot.path)
    return data


def test_the_command_lists_them(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = CliRunner().invoke(app, ["suspects", "--json"])
    assert printed.exit_code == 0
    with Warehouse(folder.warehouse).open() as connection:
        (pair,) = coordinated_accounts(connection)
    assert CoordinatedAccounts.model_validate_json(printed.stdout.strip()[1:-1]) == pair
    assert CliRunner().invoke(app, ["suspects"]).exit_code == 0


def test_the_check_warns_and_blocks_nothing(folder: DataFolder) -> None:
    result: Any = no_accounts_look_coordinated(StorageResource(profile=ProfileResource(name="tiny")))
    assert (result.passed, result.severity.value) == (False, "WARN")
    assert "2 accounts" in result.description
    assert result.metadata["pairs of accounts"].value == 1
    assert PSEUDONYMS.of("x") in result.metadata["accounts"].value
