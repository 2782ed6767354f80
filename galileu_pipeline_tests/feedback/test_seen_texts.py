"""Texts in the warehouse: empty or the same by what can be seen, and without personal data wherever they are kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from galileu_pipeline.feedback.ingestion.ingestor import Ingestor
from galileu_pipeline.feedback.ingestion.sources.files import FeedbackFile
from galileu_pipeline.feedback.pairing.exports import ExportSettings, export
from galileu_pipeline.feedback.pairing.pairs import PairingSettings, build_pairs, count_pairs
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import PSEUDONYMS, Row, import_file, preparer
from galileu_pipeline_tests.feedback.test_imports import CHOICE, TIE, VOTE, found, json_lines

UNSEEN = ["\u200b", "\ufeff", "\u2060", "\xad", "\u200d", "\u3164", "\u2800", "\u200e"]
PERSONAL = {
    "user": {"name": "Ana Souza", "id": "ana"},
    "e-mail": "ana@x.com",
    "cpf": "529.982.247-25",
    "ip": "203.0.113.7",
    "nota": "ligue (11) 98765-4321",
}
SECRETS = ("Ana Souza", "ana@x.com", "529.982.247-25", "203.0.113.7", "98765-4321", '"ana"')


def ingest(warehouse: Warehouse, path: Path, *, repair: bool) -> dict[str, int]:
    """Refused rows by reason."""
    with warehouse.open() as connection:
        return Ingestor(connection, preparer(repair)).file(FeedbackFile.recognise(path), {}).quarantined


@pytest.mark.parametrize("repair", [True, False])
def test_what_shows_nothing_is_empty(repair: bool, warehouse: Warehouse, tmp_path: Path) -> None:
    rows: list[Row] = []
    for number, unseen in enumerate(UNSEEN):
        rows += [
            {**VOTE, "feedback_id": f"r{number}", "response": unseen},
            {**VOTE, "feedback_id": f"q{number}", "query": f" {unseen}\n"},
            {**CHOICE, "feedback_id": f"c{number}", "response_rejected": unseen * 3},
            {**TIE, "feedback_id": f"t{number}", "response_left": unseen},
        ]
    assert ingest(warehouse, json_lines(tmp_path / "rows", rows), repair=repair) == {"missing_text": len(rows)}


@pytest.mark.parametrize("repair", [True, False])
def test_the_same_to_the_eye_makes_no_pair(repair: bool, warehouse: Warehouse, tmp_path: Path) -> None:
    answers = ["Sim.", *(f"Si{unseen}m." for unseen in UNSEEN if unseen not in "\u3164\u2800"), " Sim.\n", "\ufeffSim."]
    rows: list[Row] = [
        {**VOTE, "feedback_id": str(number), "user_id": str(number), "response": answer, "rating": 1 + number % 5}
        for number, answer in enumerate(answers)
    ]
    rows += [
        {**VOTE, "feedback_id": "e1", "query": "👩\u200d🔬?", "response": "👩\u200d🔬", "rating": 5},
        {**VOTE, "feedback_id": "e2", "query": "👩\u200d🔬?", "response": "👩🔬", "rating": 1},
    ]
    assert ingest(warehouse, json_lines(tmp_path / "rows", rows), repair=repair) == {}
    with warehouse.open() as connection:
        build_pairs(connection, PairingSettings(max_person_share=None))
        assert count_pairs(connection)["pairs"] == 1
        assert connection.execute("SELECT chosen FROM pairs_with_texts").fetchall() == [("👩\u200d🔬",)]


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", "\xad"])
def test_a_choice_between_the_same_is_none(unseen: str, warehouse: Warehouse, tmp_path: Path) -> None:
    row = {**CHOICE, "response_chosen": "Sim.", "response_rejected": f"Si{unseen}m."}
    assert ingest(warehouse, json_lines(tmp_path / "rows", [row]), repair=False) == {"same_responses": 1}


def test_indentation_and_entities_reach_the_training_set(warehouse: Warehouse, tmp_path: Path) -> None:
    code = "    x = &lt;b&gt;\n\ty"
    import_file(warehouse, json_lines(tmp_path / "rows", [{**VOTE, "response": code}]))
    with warehouse.open() as connection:
        export(connection, tmp_path / "out.jsonl", ExportSettings(kind="training"))
    assert json.loads((tmp_path / "out.jsonl").read_text())["completion"] == code


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".parquet"])
def test_no_export_tells_who(ending: str, warehouse: Warehouse, tmp_path: Path) -> None:
    rows = [
        {**VOTE, "metadata": PERSONAL, "source_documents": [PERSONAL]},
        {**CHOICE, "metadata": json.dumps(PERSONAL)},
    ]
    import_file(warehouse, json_lines(tmp_path / "rows", rows))
    path = tmp_path / f"out{ending}"
    with warehouse.open() as connection:
        export(connection, path, ExportSettings(kind="feedback"))
    assert_nobody(path.read_bytes())
    for table in ("feedback", "feedback_choices"):
        ((metadata,),) = found(warehouse, f"SELECT metadata FROM {table}")
        assert json.loads(metadata)["user"] == {"name": "[NOME]", "id": PSEUDONYMS.of("ana")}
        assert_nobody(metadata.encode())


def test_the_quarantine_does_not_tell_who(warehouse: Warehouse, tmp_path: Path) -> None:
    """Neither in the fields nor in what is said of them."""
    private = {"metadata": PERSONAL, "source_documents": json.dumps([PERSONAL]), "user_id": "ana"}
    rows: list[Row] = [
        {"query": "Sou ana@x.com?", "response": "CPF 529.982.247-25", "rating": "nove", **private},
        {"query": "q", "response": "r", "rating": "ana@x.com", **private},
        {"query": ["ana@x.com"], "response": "(11) 98765-4321", **private},
        {"query": "q", "response": "", "comment": "ana@x.com", **private},
    ]
    path = json_lines(tmp_path / "rows", rows)
    assert import_file(warehouse, path).refused == len(rows)
    kept: list[Any] = found(warehouse, "SELECT raw || detail FROM feedback_quarantine")
    assert len(kept) == len(rows)
    for (text,) in kept:
        assert_nobody(text.encode())
    with warehouse.open() as connection:
        connection.execute('UPDATE feedback_quarantine SET raw = replace(raw, \'"rating": "nove"\', \'"rating": 5\')')
        assert Ingestor(connection, preparer()).retry_quarantine().accepted == 1
    assert_nobody(json.dumps(found(warehouse, "FROM feedback"), default=str).encode())


def assert_nobody(content: bytes) -> None:
    assert not [secret for secret in SECRETS if secret.encode() in content], content
