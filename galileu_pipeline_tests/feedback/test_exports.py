"""Feedback out again: files that trainers and spreadsheets read, and that can be imported as they are."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.ingestor import content_digest
from galileu_pipeline.feedback.pairing.exports import ExportSettings, export
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import import_file
from galileu_pipeline_tests.feedback.test_imports import CHOICE, TIE, VOTE, json_lines

FORMULAS = ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "\t=1", "＝1", "'already"]
ROWS = [
    VOTE,
    {**VOTE, "feedback_id": "b", "response": "Não sei.", "rating": 2, "thumbs_up": True, "metadata": {"a": [1]}},
    {**CHOICE, "feedback_id": "c", "response_chosen": 'aspas "e"\nlinhas'},
    {**TIE, "feedback_id": "d", "model_left": "m1", "model_right": "m2"},
]


@pytest.fixture
def filled(tmp_path: Path, warehouse: Warehouse) -> Warehouse:
    import_file(warehouse, json_lines(tmp_path / "rows.jsonl", ROWS))
    return warehouse


def write(warehouse: Warehouse, path: Path, **options: Any) -> int:
    with warehouse.open() as connection:
        return export(connection, path, ExportSettings(**options))


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv"])
def test_an_export_can_be_imported_again(ending: str, filled: Warehouse, tmp_path: Path) -> None:
    path, again = tmp_path / f"out{ending}", Warehouse(tmp_path / "again.duckdb")
    assert write(filled, path, kind="feedback") == len(ROWS)
    assert import_file(filled, path).duplicates == len(ROWS)
    assert import_file(again, path).accepted == len(ROWS)
    with filled.open() as one, again.open() as two:
        assert content_digest(one) == content_digest(two)


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".parquet", ".csv"])
@pytest.mark.parametrize(("kind", "columns"), [("training", "completion"), ("pairs", "rejected")])
def test_trl_reads_what_is_exported(kind: str, columns: str, ending: str, filled: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / f"out{ending}"
    rows = write(filled, path, kind=kind)
    loader = {"jsonl": "json"}.get(ending[1:], ending[1:])
    loaded = load_dataset(loader, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == rows == {"training": 1, "pairs": 2}[kind]
    assert {"prompt", columns} <= set(loaded.column_names)


def test_messages_for_instruct_models(filled: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    write(filled, path, kind="pairs", conversational=True, system_prompt="Você é Galileu.")
    row = next(row for row in pq.read_table(path).to_pylist() if row["origin"] == "ratings")
    assert [message["role"] for message in row["prompt"]] == ["system", "user"]
    assert row["chosen"] == [{"role": "assistant", "content": "Sou Galileu."}]


def test_a_least_rating(filled: Warehouse, tmp_path: Path) -> None:
    assert write(filled, tmp_path / "a.jsonl", kind="training", min_rating=2) == 2
    assert write(filled, tmp_path / "b.jsonl", kind="training", min_rating=5) == 1


def test_formulas_do_no_harm_in_a_spreadsheet(warehouse: Warehouse, tmp_path: Path) -> None:
    rows = [{**VOTE, "feedback_id": str(number), "comment": text} for number, text in enumerate(FORMULAS)]
    import_file(warehouse, json_lines(tmp_path / "rows", rows))
    path = tmp_path / "out.csv"
    write(warehouse, path, kind="feedback")
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")) for cell in row.values()), row
    again = Warehouse(tmp_path / "again.duckdb")
    import_file(again, path)
    with warehouse.open() as one, again.open() as other:
        assert content_digest(one) == content_digest(other)


def test_json_columns_are_json_in_json(filled: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(filled, path, kind="feedback")
    rows = {row["feedback_id"]: row for row in map(json.loads, path.read_text().splitlines())}
    assert rows["b"]["metadata"] == {"a": [1]}


def test_what_does_not_go_together(filled: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"use one of \.jsonl"):
        write(filled, tmp_path / "out.xlsx", kind="feedback")
    for path, kind in ((tmp_path / "out.csv", "pairs"), (tmp_path / "out.json", "feedback")):
        with pytest.raises(InputError, match="leave out --conversational"):
            write(filled, path, kind=kind, conversational=True)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("out", ".out"))]
