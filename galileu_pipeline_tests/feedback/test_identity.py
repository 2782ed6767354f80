"""Which row is which, whose it is, and which of several states stands."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.collection.collector import FeedbackCollector
from galileu_pipeline.feedback.collection.pseudonyms import known
from galileu_pipeline.feedback.ingestion.ingestor import IngestionReport, content_digest, ledger
from galileu_pipeline.feedback.pairing.pairs import PairingSettings, build_pairs, preference_pairs
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import PSEUDONYMS, Row, empty_warehouse, import_file, ingest
from galileu_pipeline_tests.feedback.test_imports import TIE, VOTE, as_csv, found, json_lines

pytestmark = pytest.mark.slow

ANONYMOUS: Row = {"timestamp": "2026-11-24", "query": "q", "response": "r", "rating": 5}
PLACES = itertools.count()


def bring(warehouse: Warehouse, folder: Path, *rows: Row) -> IngestionReport:
    """Import the rows as a file of their own."""
    report = import_file(warehouse, json_lines(folder / f"file {next(PLACES)}.jsonl", list(rows)))
    with warehouse.open() as connection:
        counts = ledger(connection)
    assert counts["rows_in"] == counts["accepted"] + counts["quarantined"] + counts["duplicates"]
    return report


def pairs(warehouse: Warehouse) -> list[tuple[str, str]]:
    with warehouse.open() as connection:
        build_pairs(connection, PairingSettings(max_person_share=None))
        return [(row["chosen"], row["rejected"]) for row in preference_pairs(connection).read_all().to_pylist()]


# One path for every event


@pytest.mark.parametrize(
    ("verdict", "stored"),
    [
        *(
            (word, "left")
            for word in ("left", "Left", " left", "LEFT ", "model_a", "leftvote", "A", "Model A", "esquerda")
        ),
        *((word, "right") for word in ("right", "Right", "model_b", "rightvote", "b", "assistant_b", "direita")),
        *((word, "tie") for word in ("tie", "Tie", "tievote", "draw", "empate", "both good")),
        *((word, "both_bad") for word in ("both_bad", "tie (bothbad)", "bothbad_vote", "Both bad", "both-bad")),
    ],
)
def test_verdicts_in_other_words(verdict: str, stored: str, tmp_path: Path, warehouse: Warehouse) -> None:
    assert bring(warehouse, tmp_path, {**TIE, "verdict": verdict}).accepted == 1
    assert found(warehouse, "SELECT verdict FROM feedback_comparisons") == [(stored,)]


@pytest.mark.parametrize(
    ("left", "right", "verdict", "stored"),
    [
        ("model_b", "model_a", "model_a", "right"),
        ("model_b", "model_a", "model_b", "left"),
        ("B", "A", "a", "right"),
        ("gpt-x", "galileu", "Galileu", "right"),
        ("gpt-x", "galileu", "gpt-x", "left"),
        ("gpt-x", "galileu", "model_a", "left"),
        ("galileu", "galileu", "right", "right"),
        ("Galileu", "galileu", "galileu", "right"),
        ("B ", " A", "A", "right"),
    ],
)
def test_who_wins_may_be_said_by_name(
    left: str, right: str, verdict: str, stored: str, tmp_path: Path, warehouse: Warehouse
) -> None:
    bring(warehouse, tmp_path, {**TIE, "model_left": left, "model_right": right, "verdict": verdict})
    assert found(warehouse, "SELECT verdict FROM feedback_comparisons") == [(stored,)]


@pytest.mark.parametrize(
    "row",
    [
        {**VOTE, "rating": 1, "response_chosen": "melhor", "response_rejected": VOTE["response"]},
        {**VOTE, "rating": None, "thumbs_up": False, "response_chosen": "melhor", "response_rejected": "pior"},
        {**TIE, "response": "r", "rating": 5},
        {**TIE, "response_chosen": "melhor", "response_rejected": "pior"},
        {**TIE, "verdict": "left", "response_chosen": TIE["response_right"], "response_rejected": TIE["response_left"]},
    ],
)
def test_several_votes_in_one_row_are_refused(row: Row, tmp_path: Path, warehouse: Warehouse) -> None:
    assert bring(warehouse, tmp_path, row).quarantined == {"several_kinds": 1}


@pytest.mark.parametrize(
    "verdict",
    [
        *("", "?", "left or right", "1", "0", "model_c", None, "not left"),
        *(
            "-A",
            "- left",
            "-right",
            "👎 left",
            "A 👎",
            "A❌",
            "left: 0",
            "!left",
            "не a",
            "-1 a",
            "left?",
            "a > b",
            "a!=b",
        ),
    ],
)
def test_a_verdict_that_is_not_certain_is_refused(verdict: str | None, tmp_path: Path, warehouse: Warehouse) -> None:
    assert bring(warehouse, tmp_path, {**TIE, "verdict": verdict}).quarantined == {"invalid_verdict": 1}


@pytest.mark.parametrize(
    ("verdict", "expected"), [("left", [("a", "b")]), ("right", [("b", "a")]), ("tie", []), ("both_bad", [])]
)
def test_a_comparison_gives_the_same_pairs_through_every_door(
    verdict: Any, expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    collector = FeedbackCollector(tmp_path / "feedback.db", PSEUDONYMS)
    collector.add_comparison("q", "a", "b", verdict)
    collected, imported, whole = (empty_warehouse(tmp_path / f"{name}.duckdb") for name in ("one", "two", "three"))
    ingest(collected, collector.path)
    bring(imported, tmp_path, {**TIE, "verdict": verdict})
    import_file(whole, collector.path)
    assert pairs(collected) == pairs(imported) == pairs(whole) == expected


def test_a_collected_comparison_counts_once(tmp_path: Path, warehouse: Warehouse) -> None:
    collector = FeedbackCollector(tmp_path / "feedback.db", PSEUDONYMS)
    for chosen in ("left", "left", "right"):
        collector.add_comparison("q", "a", "b", chosen)  # type: ignore[arg-type]
    ingest(warehouse, collector.path)
    assert pairs(warehouse) == [("a", "b")]
    assert found(warehouse, "SELECT round(margin, 6) FROM preference_pairs") == [(0.333333,)]
    assert found(warehouse, "SELECT count(*), count(DISTINCT feedback_id) FROM pair_sources") == [(3, 3)]


@pytest.mark.parametrize("answer", ["a", "    return 1", "\n- item", "a\u200bb", "👩\u200d🔬"])
def test_an_answer_is_the_same_one_in_a_comparison_and_in_a_choice(
    answer: str, tmp_path: Path, warehouse: Warehouse
) -> None:
    comparison = {**TIE, "feedback_id": "c", "response_left": answer, "verdict": "left"}
    choice = {"query": TIE["query"], "response_chosen": answer.strip(), "response_rejected": TIE["response_right"]}
    bring(warehouse, tmp_path, comparison, choice)
    assert bring(warehouse, tmp_path, comparison).duplicates == 1
    assert found(warehouse, "SELECT count(*) FROM preferences") == [(2,)]
    assert len(pairs(warehouse)) == 1


def test_a_decided_comparison_of_equal_answers_is_refused(tmp_path: Path, warehouse: Warehouse) -> None:
    same = {**TIE, "response_right": " a "}
    report = bring(warehouse, tmp_path, {**same, "verdict": "left"}, {**same, "verdict": "tie"})
    assert (report.accepted, report.quarantined) == (1, {"same_responses": 1})


# An id with its content


@pytest.mark.parametrize(
    "other",
    [
        {"query": "Outra pergunta?"},
        {"response": "Outra resposta."},
        {"user_id": "bia"},
        {"query": "Outra?", "timestamp": "2026-11-24T11:00:00Z"},
        {"user_id": None, "timestamp": None},
    ],
)
def test_two_bots_that_count_alike(other: Row, tmp_path: Path, warehouse: Warehouse) -> None:
    row = {**VOTE, **other, "feedback_id": "1"}
    assert bring(warehouse, tmp_path, {**VOTE, "feedback_id": "1"}).accepted == 1
    report = bring(warehouse, tmp_path, row)
    assert (report.accepted, report.duplicates, report.quarantined) == (0, 0, {"id_conflict": 1})
    assert bring(warehouse, tmp_path, row).duplicates == 1
    kept = found(warehouse, "SELECT raw ->> '$.query' FROM feedback_quarantine")
    assert kept == [(row["query"],)]


@pytest.mark.parametrize("same", [{}, {"timestamp": None}, {"metadata": '{"a": 1}'}, {"query": " Quem é você? "}])
def test_the_same_again_is_a_duplicate(same: Row, tmp_path: Path, warehouse: Warehouse) -> None:
    bring(warehouse, tmp_path, VOTE)
    assert bring(warehouse, tmp_path, {**VOTE, **same}) == IngestionReport(rows=1, duplicates=1)


@pytest.mark.parametrize("ruined", ["1,78923E+17", "1.78923E+17", "1.78923e+017", "2E+15", "1.78923e17"])
def test_ids_that_a_spreadsheet_has_rounded(ruined: str, tmp_path: Path, warehouse: Warehouse) -> None:
    rows = [{**VOTE, "feedback_id": ruined, "query": f"Pergunta {number}?"} for number in range(3)]
    report = import_file(warehouse, as_csv(tmp_path, rows))
    assert (report.duplicates, report.quarantined) == (0, {"invalid_id": 3})


@pytest.mark.parametrize("nothing", ["nan", "None", "null", "N/A", "-", " ", "NaN"])
def test_an_id_that_says_there_is_none(nothing: str, tmp_path: Path, warehouse: Warehouse) -> None:
    rows = [{**VOTE, "feedback_id": nothing, "query": f"Pergunta {number}?"} for number in range(3)]
    assert bring(warehouse, tmp_path, *rows).accepted == 3


@pytest.mark.parametrize("written", ["7.0", " 7", "7,0", "7 "])
def test_an_id_that_pandas_has_made_a_decimal(written: str, tmp_path: Path, warehouse: Warehouse) -> None:
    bring(warehouse, tmp_path, {**VOTE, "feedback_id": 7})
    assert bring(warehouse, tmp_path, {**VOTE, "feedback_id": written}).duplicates == 1


# States of one vote


def standing(warehouse: Warehouse) -> list[tuple[float]]:
    return found(warehouse, "SELECT rating FROM feedback")


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
def test_the_newest_state_stands_whatever_comes_first(
    order: tuple[int, ...], tmp_path: Path, warehouse: Warehouse
) -> None:
    states = {rating: {**VOTE, "rating": rating, "timestamp": f"2026-11-2{rating}T10:00:00Z"} for rating in (1, 2, 3)}
    for rating in order:
        assert bring(warehouse, tmp_path, states[rating]).accepted == 1
    assert standing(warehouse) == [(3.0,)]
    history = found(warehouse, "SELECT (state ->> '$.rating')::DOUBLE FROM feedback_history ORDER BY occurred_at")
    assert history == [(1.0,), (2.0,)]
    for rating in order:
        assert bring(warehouse, tmp_path, states[rating]).duplicates == 1


@pytest.mark.parametrize("stamp", [None, "2026-11-24T10:00:00Z"])
def test_of_equal_times_the_later_import_stands(stamp: str | None, tmp_path: Path, warehouse: Warehouse) -> None:
    for rating in (3, 1, 5):
        report = bring(warehouse, tmp_path, {**VOTE, "rating": rating, "timestamp": stamp})
        assert report.accepted == 1
    assert standing(warehouse) == [(5.0,)]
    for rating in (3, 1, 5):  # what was read before is no news
        assert bring(warehouse, tmp_path, {**VOTE, "rating": rating, "timestamp": stamp}).duplicates == 1
    assert standing(warehouse) == [(5.0,)]


def test_a_file_with_two_states_of_one_vote_adds_nothing_when_it_comes_again(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    rows = [{**VOTE, "rating": rating, "timestamp": None} for rating in (2, 4)]
    assert bring(warehouse, tmp_path, *rows).accepted == 2
    assert standing(warehouse) == [(4.0,)]
    assert bring(warehouse, tmp_path, *rows) == IngestionReport(rows=2, duplicates=2)
    assert standing(warehouse) == [(4.0,)]


def test_pairs_follow_a_changed_vote(tmp_path: Path, warehouse: Warehouse) -> None:
    one, other = {**VOTE, "response": "a"}, {**VOTE, "feedback_id": "b", "response": "b", "rating": 3}
    bring(warehouse, tmp_path, one, other)
    assert pairs(warehouse) == [("a", "b")]
    bring(warehouse, tmp_path, {**one, "rating": 1, "timestamp": "2026-11-24T11:00:00Z"})
    assert pairs(warehouse) == [("b", "a")]


def test_a_comparison_that_was_changed(tmp_path: Path, warehouse: Warehouse) -> None:
    row = {**TIE, "feedback_id": "c"}
    for verdict, expected in (("left", [("a", "b")]), ("right", [("b", "a")]), ("tie", [])):
        bring(warehouse, tmp_path, {**row, "verdict": verdict})
        assert pairs(warehouse) == expected


@pytest.mark.parametrize("stamp", [None, "2026-11-24T10:00:00Z"])
def test_the_last_vote_of_a_person_over_several_files_is_of_the_later_import(
    stamp: str | None, tmp_path: Path, warehouse: Warehouse
) -> None:
    """Not the one that happens to stand further down in its file."""
    more = [{**VOTE, "feedback_id": f"m{number}", "query": f"Mais {number}?"} for number in range(20)]
    early = {**VOTE, "feedback_id": "z", "response": "a", "rating": 1, "timestamp": stamp}
    late = {**early, "feedback_id": "a", "rating": 5}
    other = {**VOTE, "feedback_id": "o", "response": "b", "rating": 3}
    bring(warehouse, tmp_path, *more, early)
    bring(warehouse, tmp_path, late, other)
    assert ("a", "b") in pairs(warehouse)


# Rows without an id


@pytest.mark.parametrize("count", [1, 2, 10])
@pytest.mark.parametrize("stamp", [None, "2026-11-24", "2026-11-24T10:00:00Z"])
def test_equal_rows_of_nobody_are_as_many_votes(
    count: int, stamp: str | None, tmp_path: Path, warehouse: Warehouse
) -> None:
    rows = [{**ANONYMOUS, "timestamp": stamp}] * count
    assert bring(warehouse, tmp_path, *rows).accepted == count
    assert bring(warehouse, tmp_path, *rows) == IngestionReport(rows=count, duplicates=count)
    assert bring(warehouse, tmp_path, *rows, rows[0]) == IngestionReport(rows=count + 1, accepted=1, duplicates=count)


@pytest.mark.parametrize("end", ["top", "bottom", "both"])
def test_an_export_that_grows(end: str, tmp_path: Path, warehouse: Warehouse) -> None:
    old = [{**ANONYMOUS, "timestamp": None, "query": f"Pergunta {number % 7}?"} for number in range(20)]
    new = [{**ANONYMOUS, "timestamp": None, "query": f"Nova {number}?"} for number in range(5)]
    bring(warehouse, tmp_path, *old)
    grown = [*(new if end != "bottom" else []), *old, *([] if end == "top" else new[:0] if end == "both" else new)]
    assert bring(warehouse, tmp_path, *grown) == IngestionReport(rows=25, accepted=5, duplicates=20)


def test_refused_rows_are_known_again_wherever_they_stand(tmp_path: Path, warehouse: Warehouse) -> None:
    bad = {**ANONYMOUS, "thumbs_up": "talvez"}
    assert bring(warehouse, tmp_path, bad, bad).quarantined == {"invalid_thumbs": 2}
    assert bring(warehouse, tmp_path, ANONYMOUS, bad, bad) == IngestionReport(rows=3, accepted=1, duplicates=2)


def test_the_same_rows_as_csv_and_as_json(tmp_path: Path, warehouse: Warehouse) -> None:
    rows = [{**ANONYMOUS, "user_id": user, "rating": 5} for user in ("7", "8", "8")]
    bring(warehouse, tmp_path, *rows)
    assert import_file(warehouse, as_csv(tmp_path, rows)).duplicates == 3


# People


@pytest.mark.parametrize(
    "name",
    [
        "anonymous",
        "Anonymous",
        "None",
        "null",
        "nan",
        "NaN",
        "N/A",
        "n/a",
        "-",
        " ",
        "",
        "undefined",
        "anônimo",
        "\\N",
        "#N/D",
        "(null)",
        "N/D",
        "anonymous user",
        "<anonymous>",
        "Anônimo(a)",
        "Não informado",
        "00000000-0000-0000-0000-000000000000",
    ],
)
def test_nobody_is_no_person(name: str, tmp_path: Path, warehouse: Warehouse) -> None:
    assert known(name) is None
    rows = [{**VOTE, "feedback_id": str(number), "user_id": name, "session_id": name} for number in range(3)]
    bring(warehouse, tmp_path, *rows)
    assert found(warehouse, "SELECT DISTINCT user_id, session_id FROM feedback") == [(None, None)]
    collector = FeedbackCollector(tmp_path / "feedback.db", PSEUDONYMS)
    for _ in range(2):
        collector.add_feedback("q", "r", rating=5, user_id=name, session_id=name)
    assert (collector.get_feedback_stats()["people"], collector.get_feedback_stats()["total_feedback"]) == (0, 2)


@pytest.mark.parametrize("name", ["user_id", "session_id"])
@pytest.mark.parametrize("rounded", ["1,78923E+17", "1.78923e+17", "2E+15", 1.78923e17])
def test_people_whom_a_spreadsheet_made_one_are_refused(
    name: str, rounded: str | float, tmp_path: Path, warehouse: Warehouse
) -> None:
    nobody = {**VOTE, "user_id": None, "session_id": None}
    rows = [{**nobody, "feedback_id": f"x{rating}", "rating": rating, name: rounded} for rating in (1, 5)]
    assert bring(warehouse, tmp_path, *rows).quarantined == {"invalid_id": 2}


def test_a_rounded_session_harms_nobody_who_is_known(tmp_path: Path, warehouse: Warehouse) -> None:
    assert bring(warehouse, tmp_path, {**VOTE, "user_id": "ana", "session_id": "1,7E+12"}).accepted == 1
    assert bring(warehouse, tmp_path, {**VOTE, "user_id": "N/A", "session_id": "1,7E+12"}).accepted == 0


def test_one_vote_said_twice_in_a_row_is_one(tmp_path: Path, warehouse: Warehouse) -> None:
    sides = {"response_chosen": TIE["response_left"], "response_rejected": TIE["response_right"]}
    assert bring(warehouse, tmp_path, {**TIE, "verdict": "left", **sides}).accepted == 1


@pytest.mark.parametrize("thousand", ["1.000", "1,000"])
def test_a_thousand_is_not_one(thousand: str, tmp_path: Path, warehouse: Warehouse) -> None:
    assert known(thousand) == thousand
    rows = [{**VOTE, "feedback_id": identity, "query": identity} for identity in ("1", thousand)]
    bring(warehouse, tmp_path, *rows)
    assert found(warehouse, "SELECT count(*) FROM feedback") == [(2,)]


def test_without_a_user_the_session_is_the_person(tmp_path: Path, warehouse: Warehouse) -> None:
    bring(warehouse, tmp_path, {**VOTE, "user_id": "None", "session_id": "s1"})
    assert found(warehouse, "SELECT coalesce(user_id, session_id) FROM feedback") == [(PSEUDONYMS.of("s1"),)]


@pytest.mark.parametrize("written", ["7", "7.0", " 7", "7 ", "7,0", "7.00", "\u00a07", 7, 7.0])
def test_one_number_is_one_person(written: Any, tmp_path: Path, warehouse: Warehouse) -> None:
    bring(warehouse, tmp_path, {**VOTE, "user_id": written})
    assert found(warehouse, "SELECT user_id FROM feedback") == [(PSEUDONYMS.of("7"),)]


@pytest.mark.parametrize("name", ["Nana", "7.5", "0", "07", "ana@example.org", "anonymous-7", "Joana None", "1.0.0"])
def test_people_stay_who_they_are(name: str) -> None:
    assert known(name) == name


def test_erasure_finds_a_person_however_the_id_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from galileu_pipeline.data_folder import DataFolder
    from galileu_pipeline.erasure import erase
    from galileu_pipeline.lineage.artifacts import ArtifactStore

    monkeypatch.setenv("GALILEU_PSEUDONYM_KEY", "a key for tests of erasure")
    data = DataFolder(tmp_path)
    collector = FeedbackCollector(data.feedback_db)
    for rating, user in ((1, "7"), (2, "7.0"), (3, " 7"), (4, "8")):
        collector.add_feedback("q", "r", rating=rating, user_id=user)
    store, warehouse = ArtifactStore(data, "tests"), empty_warehouse(data.warehouse)
    assert erase(store, warehouse, "7.0", dry_run=True).collected == {"feedback": 3}
    with pytest.raises(InputError, match="names nobody"):
        erase(store, warehouse, "anonymous")


def test_the_history_is_erased_too(tmp_path: Path, warehouse: Warehouse) -> None:
    from galileu_pipeline.feedback.erasure import erase_ingested, ingested_rows

    for rating in (1, 2):
        bring(warehouse, tmp_path, {**VOTE, "rating": rating, "timestamp": f"2026-11-2{rating}"})
    with warehouse.open() as connection:
        person = PSEUDONYMS.of("ana")
        assert ingested_rows(connection, person) == {"feedback": ["a"], "feedback_history": ["a"]}
        erase_ingested(connection, person)
        counts = ledger(connection)
        assert ingested_rows(connection, person) == {}
    assert counts["rows_in"] == counts["accepted"] == 0


def test_times_count_towards_what_the_feedback_is(tmp_path: Path) -> None:
    """They decide which vote is the last one, so other times are other data."""
    digests = set()
    for day in ("2026-11-20", "2026-11-21"):
        warehouse = empty_warehouse(tmp_path / f"{day}.duckdb")
        bring(warehouse, tmp_path, {**VOTE, "timestamp": day})
        with warehouse.open() as connection:
            digests.add(content_digest(connection))
    assert len(digests) == 2


@pytest.mark.parametrize("more", [{"metadata": '{"exported": "today"}'}, {"source_documents": '["x.pdf"]'}])
def test_without_an_id_what_was_said_counts_and_not_what_stands_beside(
    more: Row, tmp_path: Path, warehouse: Warehouse
) -> None:
    assert bring(warehouse, tmp_path, ANONYMOUS, ANONYMOUS).accepted == 2
    again = bring(warehouse, tmp_path, {**ANONYMOUS, **more}, ANONYMOUS, {**ANONYMOUS, "comment": "!"})
    assert (again.duplicates, again.accepted) == (2, 1)
