"""Votes into pairs: worked examples, and random votes against the rules written again in plain Python."""

import hashlib
import json
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner
from galileu_pipeline.feedback.ingestion.ingestor import Ingestor
from galileu_pipeline.feedback.ingestion.sources.files import FeedbackFile
from galileu_pipeline.feedback.ingestion.sources.sqlite_rows import SqliteFeedback
from galileu_pipeline.feedback.pairing import integrity
from galileu_pipeline.feedback.pairing.pairs import (
    PairingSettings,
    PairingStrategy,
    build_pairs,
    count_agreement,
    count_pairs,
    count_raters,
    kept_out,
    pair_sources,
    preference_pairs,
    set_aside,
    split_of,
)
from galileu_pipeline.feedback.statements import sql
from galileu_pipeline_tests.feedback.conftest import (
    REAL_RATINGS,
    ChatbotFile,
    Row,
    empty_warehouse,
    import_file,
    needs_real_ratings,
    preparer,
)

BEST_VS_WORST, ALL_PAIRS = PairingStrategy.BEST_VS_WORST, PairingStrategy.ALL_PAIRS


class Paired:
    """The pairs and sources that votes and choices give."""

    def __init__(self, folder: Path, votes: list[Row], choices: list[Row], **options: Any) -> None:
        self.chatbot, self.warehouse = ChatbotFile(folder / "feedback.db"), empty_warehouse(folder / "x.duckdb")
        self.settings = PairingSettings(**{"max_person_share": None, **options})
        self.add(votes, choices)

    def add(self, votes: list[Row], choices: list[Row]) -> None:
        self.chatbot.votes(*votes)
        self.chatbot.choices(*choices)
        with self.warehouse.open() as connection:
            Ingestor(connection, preparer()).sqlite(SqliteFeedback(self.chatbot.path))
            build_pairs(connection, self.settings)
            self.table = preference_pairs(connection).read_all()
            self.sources = pair_sources(connection).read_all()
            self.set_aside = set_aside(connection).read_all()
            ((self.bound,),) = connection.execute("SELECT heaviest FROM derived_tables").fetchall()
            connection.execute(sql("pairing/weigh_rows"))
            ((self.heaviest,),) = connection.execute(sql("pairing/select_heaviest")).fetchall()

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.table.to_pylist()

    @property
    def sides(self) -> set[tuple[str, str, str]]:
        return {(row["prompt"], row["chosen"], row["rejected"]) for row in self.rows}

    def roles(self) -> Counter[str]:
        return Counter(self.sources["role"].to_pylist())


def vote(answer: str, rating: float | None = None, user: str | None = None, **more: Any) -> Row:
    return {"query": "q", "response": answer, "rating": rating, "user_id": user, **more}


def choice(chosen: str, rejected: str, user: str | None = None) -> Row:
    return {"query": "q", "response_chosen": chosen, "response_rejected": rejected, "user_id": user}


THREE = [vote("good", 5), vote("good", 4), vote("fair", 3), vote("bad", 1)]


def test_best_vs_worst(tmp_path: Path) -> None:
    paired = Paired(tmp_path, THREE, [])
    assert paired.sides == {("q", "good", "bad")}
    assert paired.rows[0]["margin"] == pytest.approx(0.875)
    assert paired.rows[0]["origin"] == "ratings"
    assert paired.roles() == {"chosen": 2, "rejected": 1, "context": 1}


def test_all_pairs(tmp_path: Path) -> None:
    paired = Paired(tmp_path, THREE, [], strategy=ALL_PAIRS)
    assert paired.sides == {("q", "good", "bad"), ("q", "good", "fair"), ("q", "fair", "bad")}


def test_a_least_margin(tmp_path: Path) -> None:
    assert Paired(tmp_path, THREE, [], strategy=ALL_PAIRS, min_margin=0.6).sides == {("q", "good", "bad")}


def test_a_cap_keeps_choices_first_and_then_the_largest_margin(tmp_path: Path) -> None:
    paired = Paired(tmp_path, THREE, [choice("fair", "new")], strategy=ALL_PAIRS, max_pairs_per_query=2)
    assert paired.sides == {("q", "fair", "new"), ("q", "good", "bad")}


def test_equal_scores_make_no_pair(tmp_path: Path) -> None:
    assert Paired(tmp_path, [vote("a", 4), vote("b", 4)], []).rows == []


def test_a_thumb_counts_and_a_comment_alone_does_not(tmp_path: Path) -> None:
    votes = [vote("up", thumbs_up=1), vote("down", thumbs_up=0), vote("said", comment="ok")]
    assert Paired(tmp_path, votes, [], strategy=ALL_PAIRS).sides == {("q", "up", "down")}


def test_a_persons_last_vote_replaces_the_earlier_ones(tmp_path: Path) -> None:
    votes = [
        vote("a", 1, "ana", timestamp="2026-08-01T10:00:00Z"),
        vote("a", 5, "ana", timestamp="2026-08-02T10:00:00Z"),
        vote("b", 3, "ana", timestamp="2026-08-01T10:00:00Z"),
    ]
    paired = Paired(tmp_path, votes, [])
    assert paired.sides == {("q", "a", "b")}
    assert paired.roles() == {"chosen": 1, "rejected": 1, "context": 1}


def test_the_majority_decides_and_the_outvoted_are_named(tmp_path: Path) -> None:
    paired = Paired(tmp_path, [], [choice("a", "b", "1"), choice("a", "b", "2"), choice("b", "a", "3")])
    assert paired.sides == {("q", "a", "b")}
    assert paired.rows[0]["margin"] == pytest.approx(1 / 3)
    assert paired.roles() == {"choice": 2, "outvoted": 1}


def test_an_even_vote_is_no_pair(tmp_path: Path) -> None:
    assert Paired(tmp_path, [], [choice("a", "b", "1"), choice("b", "a", "2")]).rows == []


@pytest.mark.parametrize(
    ("choices", "agreeing", "compared"),
    [
        ([], 0, 0),
        ([choice("a", "b", "1")], 0, 0),
        ([choice("a", "b", "1"), choice("a", "b", "2")], 1, 1),
        ([choice("a", "b", "1"), choice("b", "a", "2")], 0, 1),
        ([choice("a", "b", "1"), choice("a", "b", "2"), choice("b", "a", "3")], 1, 3),
        (
            [choice("b", "a", "1"), choice("a", "b", "1"), choice("a", "b", "2")],
            1,
            1,
        ),  # whoever chose twice counts once
        ([choice("a", "b", "1"), choice("a", "c", "2")], 0, 0),  # of other answers
        ([choice("a", "b"), choice("a", "b")], 1, 1),  # nobody knows whose
    ],
)
def test_how_far_people_agree(tmp_path: Path, choices: list[Row], agreeing: int, compared: int) -> None:
    paired = Paired(tmp_path, [vote("a")], choices)
    with paired.warehouse.open() as connection:
        assert count_agreement(connection) == {"agreeing": agreeing, "compared": compared}
        assert count_pairs(connection)["questions"] == len({row["query_key"] for row in paired.rows})


@pytest.mark.parametrize(
    ("votes", "choices", "agreeing", "compared"),
    [
        ([], [choice("a", "b", "1")], 0, 0),  # nobody else
        ([], [choice("a", "b", "1"), choice("a", "b", "2")], 2, 2),
        ([], [choice("a", "b", "1"), choice("b", "a", "2")], 0, 2),
        ([], [choice("a", "b", "1"), choice("a", "b", "2"), choice("b", "a", "3")], 0, 1),  # two see the others divided
        ([], [choice("a", "b"), choice("a", "b")], 0, 0),  # nobody knows whose
        ([(who, text, score) for who in "12" for text, score in (("a", 5), ("b", 2))], [], 2, 2),
        ([("1", "a", 5), ("1", "b", 2), ("2", "a", 1), ("2", "b", 3)], [], 0, 2),
        ([("1", "a", 5), ("1", "b", 2), ("2", "a", 3), ("2", "b", 3)], [], 0, 0),  # either is undecided
        ([("1", "a", 5), ("1", "b", 2), ("2", "a", 4)], [], 0, 0),  # who rated just one
        # Of three, the first two agree with the mean of the others; to the third they are against it.
        (
            [("1", "a", 5), ("1", "b", 1), ("2", "a", 5), ("2", "b", 2), ("3", "a", 2), ("3", "b", 3)],
            [],
            2,
            3,
        ),
    ],
)
def test_how_often_one_person_orders_answers_as_the_others(
    tmp_path: Path, votes: list[tuple[str, str, int]], choices: list[Row], agreeing: int, compared: int
) -> None:
    rated = [vote(text, score, who) for who, text, score in votes]
    with Paired(tmp_path, rated, choices).warehouse.open() as connection:
        assert count_raters(connection) == {"agreeing": agreeing, "compared": compared}


@pytest.mark.parametrize("neither", ["tie", "both_bad"])
def test_a_persons_later_decision_for_neither_takes_the_choice_back(tmp_path: Path, neither: str) -> None:
    def compared(day: int, verdict: str, user: str | None = "ana") -> Row:
        return {
            "query": "q",
            "response_left": "a",
            "response_right": "b",
            "verdict": verdict,
            "user_id": user,
            "timestamp": f"2026-08-0{day}T10:00:00Z",
        }

    def sides_after(name: str, *rows: Row) -> set[tuple[str, str, str]]:
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        import_file(warehouse, tmp_path / f"{name}.jsonl")
        with warehouse.open() as connection:
            build_pairs(connection, PairingSettings(max_person_share=None))
            return {
                (row["prompt"], row["chosen"], row["rejected"])
                for row in preference_pairs(connection).read_all().to_pylist()
            }

    warehouse = empty_warehouse(tmp_path / "x.duckdb")
    assert sides_after("first", compared(2, "left")) == {("q", "a", "b")}
    assert sides_after("earlier", compared(1, neither)) == {("q", "a", "b")}
    assert sides_after("somebody", compared(3, neither, "bia"), compared(3, neither, None)) == {("q", "a", "b")}
    assert sides_after("later", compared(4, neither)) == set()
    with warehouse.open() as connection:
        connection.execute("SET VARIABLE sft_min_score = 0.75; SET VARIABLE min_margin = 0.0")
        kept = kept_out(connection).read_all().to_pylist()
        (tie,) = connection.sql("SELECT feedback_id FROM withdrawals ORDER BY occurred_at DESC LIMIT 1").fetchall()
    assert [row["feedback_id"] for row in kept] == list(tie)
    assert sides_after("again", compared(5, "right")) == {("q", "b", "a")}


def test_a_direct_comparison_wins_over_ratings(tmp_path: Path) -> None:
    paired = Paired(tmp_path, [vote("a", 5), vote("b", 1)], [choice("b", "a")])
    assert [(row["chosen"], row["origin"]) for row in paired.rows] == [("b", "choices")]
    assert paired.roles() == {"choice": 1, "context": 2}


def test_where_both_agree_both_are_sources(tmp_path: Path) -> None:
    paired = Paired(tmp_path, [vote("a", 5), vote("b", 1)], [choice("a", "b")])
    assert [(row["chosen"], row["origin"]) for row in paired.rows] == [("a", "both")]
    assert paired.roles() == {"chosen": 1, "rejected": 1, "choice": 1}


def test_wordings_of_one_question_are_paired(tmp_path: Path) -> None:
    votes = [vote("a", 5, query="Quem é você?"), vote("b", 1, query="quem é você"), vote("b", 1, query="Quem é você?")]
    (row,) = Paired(tmp_path, votes, []).rows
    assert row["prompt"] == "Quem é você?"  # the most frequent wording


QUERIES, ANSWERS, USERS = ["q1", "q2", "q3"], ["a", "b", "c", "d"], ["ana", "bia", None]
VOTE = st.fixed_dictionaries(
    {
        "query": st.sampled_from(QUERIES),
        "response": st.sampled_from(ANSWERS),
        "rating": st.one_of(st.integers(1, 5), st.none()),
        "thumbs_up": st.sampled_from([0, 1, None]),
        "comment": st.just("c"),
        "user_id": st.sampled_from(USERS),
    }
)
CHOICE = st.builds(
    lambda query, sides, user: {
        "query": query,
        "response_chosen": sides[0],
        "response_rejected": sides[1],
        "user_id": user,
    },
    st.sampled_from(QUERIES),
    st.permutations(ANSWERS),
    st.sampled_from(USERS),
)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def last_per_person(rows: list[Row], target: Any) -> list[Row]:
    """Without times the later row is the later vote; rows of nobody in particular all count."""
    kept = {(row["user_id"] if row["user_id"] else index, target(row)): row for index, row in enumerate(rows)}
    return list(kept.values())


def expected_pairs(votes: list[Row], choices: list[Row], strategy: PairingStrategy) -> set[tuple[str, str, str]]:
    """The rules of docs/how-it-works.md, written independently of the SQL."""
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    scored = [row for row in votes if row["rating"] is not None or row["thumbs_up"] is not None]
    for row in last_per_person(scored, lambda row: (row["query"], row["response"])):
        value = (row["rating"] - 1) / 4 if row["rating"] is not None else float(row["thumbs_up"])
        scores[row["query"], row["response"]].append(value)
    by_query: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for (query, answer), values in scores.items():
        by_query[query].append((sum(values) / len(values), len(values), answer))

    rated: set[tuple[str, str, str]] = set()
    for query, answers in by_query.items():
        if strategy is ALL_PAIRS:
            for one, other in combinations(answers, 2):
                if one[0] != other[0]:
                    better, worse = sorted((one, other), reverse=True)
                    rated.add((query, better[2], worse[2]))
        else:
            best = min(answers, key=lambda item: (-item[0], -item[1], digest(item[2])))
            worst = min(answers, key=lambda item: (item[0], -item[1], digest(item[2])))
            if best[0] > worst[0]:
                rated.add((query, best[2], worst[2]))

    tally: Counter[tuple[str, str, str]] = Counter()
    pair_of = lambda row: (row["query"], frozenset((row["response_chosen"], row["response_rejected"])))  # noqa: E731
    for row in last_per_person(choices, pair_of):
        tally[row["query"], row["response_chosen"], row["response_rejected"]] += 1
    direct = {(query, one, other) for query, one, other in tally if tally[query, one, other] > tally[query, other, one]}
    decided = {(query, frozenset(sides)) for query, *sides in direct}
    return direct | {(query, a, b) for query, a, b in rated if (query, frozenset((a, b))) not in decided}


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    votes=st.lists(VOTE, max_size=25), choices=st.lists(CHOICE, max_size=10), strategy=st.sampled_from(PairingStrategy)
)
def test_sql_agrees_with_the_rules(votes: list[Row], choices: list[Row], strategy: PairingStrategy) -> None:
    with TemporaryDirectory() as folder:
        paired = Paired(Path(folder), votes, choices, strategy=strategy, max_pairs_per_query=100)
    assert paired.sides == expected_pairs(votes, choices, strategy)
    assert len(paired.sides) == len({row["pair_id"] for row in paired.rows}) == paired.table.num_rows
    assert integrity.equal_sides(paired.table) == []
    assert integrity.queries_in_two_splits(paired.table) == []
    assert set(paired.sources["pair_id"].to_pylist()) == {row["pair_id"] for row in paired.rows}


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    batches=st.lists(st.tuples(st.lists(VOTE, max_size=8), st.lists(CHOICE, max_size=4)), min_size=2, max_size=4),
    strategy=st.sampled_from(PairingStrategy),
    share=st.sampled_from([None, 0.2, 0.5]),
)
def test_pairs_that_follow_new_feedback_are_the_pairs_made_at_once(
    batches: list[tuple[list[Row], list[Row]]], strategy: PairingStrategy, share: float | None
) -> None:
    options: dict[str, Any] = {"strategy": strategy, "max_person_share": share, "test_fraction": 0}
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        piecemeal = Paired(Path(one), *batches[0], **options)
        for votes, choices in batches[1:]:
            piecemeal.add(votes, choices)
            assert share is None or piecemeal.heaviest <= piecemeal.bound + 1e-9
        votes, choices = ([row for batch in batches for row in batch[side]] for side in (0, 1))
        at_once = Paired(Path(two), votes, choices, **options)
    assert piecemeal.table.equals(at_once.table)
    assert piecemeal.sources.equals(at_once.sources)
    assert piecemeal.set_aside.equals(at_once.set_aside)


def test_other_settings_pair_everything_again(tmp_path: Path) -> None:
    paired = Paired(tmp_path, THREE, [])
    paired.settings = PairingSettings(strategy=ALL_PAIRS, max_person_share=None)
    paired.add([], [])
    assert len(paired.rows) == 3


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(votes=st.lists(VOTE, min_size=2, max_size=15), data=st.data())
def test_the_order_of_arrival_changes_nothing(votes: list[Row], data: st.DataObject) -> None:
    anonymous = [{**row, "user_id": None} for row in votes]
    shuffled = data.draw(st.permutations(anonymous))
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        first = Paired(Path(one), anonymous, [], strategy=ALL_PAIRS)
        second = Paired(Path(two), shuffled, [], strategy=ALL_PAIRS)
    assert first.table.equals(second.table)


@given(query=st.text(st.characters(codec="utf-8"), min_size=1))
@settings(max_examples=25, deadline=None)
def test_the_side_of_a_question_hangs_on_its_key_alone(query: str) -> None:
    cleaner = TextCleaner()
    (side,) = split_of([cleaner.query_key(query)], PairingSettings(test_fraction=0.3, validation_fraction=0.2))
    share = int(hashlib.sha256(cleaner.folded_query(query).encode()).hexdigest()[:8], 16) / 2**32
    assert side == ("test" if share < 0.3 else "validation" if share < 0.5 else "train")


def test_something_must_be_left_to_learn_from() -> None:
    with pytest.raises(ValueError, match="together, less than 1"):
        PairingSettings(test_fraction=0.5, validation_fraction=0.5)


@needs_real_ratings
@pytest.mark.parametrize("repair", [False, True])
def test_real_ratings(tmp_path: Path, repair: bool) -> None:
    """6,468 ratings by people; the counts of pairs were made independently of this project."""
    file = FeedbackFile.recognise(REAL_RATINGS)
    with empty_warehouse(tmp_path / "x.duckdb").open() as connection:
        first, second = (Ingestor(connection, preparer(repair)).file(file, {}) for _ in range(2))
        assert (first.rows, first.accepted, first.quarantined) == (6_468, 6_468, {})
        assert (second.rows, second.accepted, second.duplicates) == (6_468, 0, 6_468)
        for strategy, expected in ((BEST_VS_WORST, 844), (ALL_PAIRS, 2_216)):
            build_pairs(
                connection, PairingSettings(strategy=strategy, max_pairs_per_query=1_000, max_person_share=None)
            )
            pairs = preference_pairs(connection).read_all()
            # Text repair touches six rows and masking 89, but they merge no two questions or answers: the same counts.
            assert pairs.num_rows == expected
            assert integrity.equal_sides(pairs) == []
            assert integrity.queries_in_two_splits(pairs) == []
