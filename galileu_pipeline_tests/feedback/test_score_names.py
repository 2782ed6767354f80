"""Scores and questions of other programs are called as their owners like; a name may turn the meaning round."""

from pathlib import Path
from typing import Any

import pytest

from galileu_pipeline.feedback.ingestion.sources.formats.naming import approves, disapproves
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.test_formats import Record, argilla, as_lines, langfuse, read, rows, submitted

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [
        *("is_toxic", "hallucination", "not helpful", "unhelpful", "flagged", "dislike", "thumbs-down", "thumbsDown"),
        *("irrelevant", "dissatisfied", "desaprovado", "descurtiu", "não-gostei", "low_quality", "helpless", "no-help"),
    ],
)
def test_a_truth_value_that_may_mean_bad_is_refused(name: str, tmp_path: Path, warehouse: Warehouse) -> None:
    given = [langfuse(1, "BOOLEAN", id="1"), langfuse(1, "BOOLEAN", id="2", name=name)]
    report = read(warehouse, as_lines(tmp_path / "x.jsonl", given))
    assert (report.accepted, report.quarantined) == (1, {"unknown_shape": 1})


@pytest.mark.parametrize(("label", "thumb"), [("bad", False), ("good", True), ("não", False), ("👍", True)])
def test_a_label_that_is_a_thumb(label: str, thumb: bool, tmp_path: Path, warehouse: Warehouse) -> None:
    record = {"fields": {"prompt": "Oi?", "answer": "Olá."}, "responses": submitted(label)}
    assert read(warehouse, as_lines(tmp_path / "x.jsonl", [record])).accepted == 1
    assert rows(warehouse, "SELECT thumbs_up, comment FROM feedback") == [(thumb, None)]


@pytest.mark.parametrize(
    ("value", "kind", "name"),
    [
        ("yes", "CATEGORICAL", "is-toxic"),
        ("True", "CATEGORICAL", "hallucination"),
        ("like", "CATEGORICAL", "bad answers"),
        (5, "NUMERIC", "toxicity"),
        (3, "NUMERIC", "latency"),
    ],
)
def test_scores_of_which_more_may_be_worse_are_refused(
    value: Any, kind: str, name: str, tmp_path: Path, warehouse: Warehouse
) -> None:
    report = read(warehouse, as_lines(tmp_path / "x.jsonl", [langfuse(value, kind, name=name)]))
    assert (report.accepted, report.quarantined) == (0, {"unknown_shape": 1})


def answers_to(**questions: Any) -> Record:
    """An Argilla record of one answer, or of two where one is the value of a question."""
    given = {name: [{"value": value, "user_id": "ana"}] for name, value in questions.items()}
    sides = {str(value) for value in questions.values()} & {"response-1", "response-2"}
    fields = {"prompt": "Oi?", "response-1": "a", "response-2": "b"} if sides else {"prompt": "Oi?", "response": "a"}
    return argilla(given, **fields)


@pytest.mark.parametrize(
    "record",
    [
        answers_to(toxic="yes"),
        answers_to(rank=1),
        answers_to(flagged="não"),
        answers_to(toxicity=5),
        answers_to(worst="response-1"),
        answers_to(safer="response-1", better="response-2"),
    ],
)
def test_answers_that_may_mean_the_contrary_are_refused(record: Record, tmp_path: Path, warehouse: Warehouse) -> None:
    report = read(warehouse, as_lines(tmp_path / "x.jsonl", [record]))
    assert (report.accepted, report.quarantined) == (0, {"unknown_shape": 1})


@pytest.mark.parametrize(
    ("record", "stored"),
    [
        (answers_to(helpful="yes"), True),
        (answers_to(label="ruim"), False),
        (answers_to(gostou="não"), False),
        (answers_to(**{"Resposta correta?": "sim"}), True),
        (answers_to(ajudou="sim", comments="no"), True),
    ],
)
def test_answers_that_are_certain_are_thumbs(
    record: Record, stored: bool, tmp_path: Path, warehouse: Warehouse
) -> None:
    read(warehouse, as_lines(tmp_path / "x.jsonl", [record]))
    assert rows(warehouse, "SELECT thumbs_up FROM feedback") == [(stored,)]


def test_a_comment_of_a_word_is_a_comment(tmp_path: Path, warehouse: Warehouse) -> None:
    read(warehouse, as_lines(tmp_path / "x.jsonl", [answers_to(rating=5, comentario="não")]))
    assert rows(warehouse, "SELECT rating, thumbs_up, comment FROM feedback") == [(5, None, "não")]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "user-feedback",
            "isHelpful",
            "thumbs-up",
            "vote",
            "user_satisfaction",
            "correctness",
            "útil",
            "gostei",
            "voto",
        ),
        *("rightAnswer", "Resposta correta?", "ajudou", "qualidade", "is_correct", "accepted", "boa", "safe"),
    ],
)
def test_names_that_approve(name: str) -> None:
    assert approves(name)
    assert not disapproves(name)


@pytest.mark.parametrize(
    "name",
    [
        *("rating", "nota no geral", "customer_satisfaction", "custom_rating", "harmlessness", "markdown quality"),
        *("badge_quality", "wireless quality", "pharmacy_rating", "mistral_quality", "misc_rating", "desempenho"),
        *("discovery", "notável", "interesting", "informative", "unbiased", "whatever", "description"),
    ],
)
def test_names_that_do_not_disapprove(name: str) -> None:
    assert not disapproves(name)


@pytest.mark.parametrize(
    "name",
    [
        *("isn't helpful", "quality_issue", "needs_correction", "pouco_util", "unhelpful", "incorrect", "thumbsdown"),
        *("bad-quality", "negative-feedback", "não-gostei", "incerto", "misliked", "worst", "toxicity", "error_rate"),
    ],
)
def test_names_that_disapprove(name: str) -> None:
    assert disapproves(name)
    assert not approves(name)


@pytest.mark.parametrize("name", ["rank", "ranking", "better"])
def test_in_a_ranking_the_first_is_the_best(name: str, tmp_path: Path, warehouse: Warehouse) -> None:
    ranking = [{"value": "response-1", "rank": 2}, {"value": "response-2", "rank": 1}]
    read(warehouse, as_lines(tmp_path / "x.jsonl", [argilla({name: [{"value": ranking, "user_id": "ana"}]})]))
    assert rows(warehouse, "SELECT verdict FROM feedback_comparisons") == [("right",)]
