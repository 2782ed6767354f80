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
from galileu_pipeline_tests.feedback.conftest import empty_warehouse, import_file
from galileu_pipeline_tests.feedback.test_imports import CHOICE, TIE, VOTE, json_lines

pytestmark = pytest.mark.slow

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


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.split("\n") if line]


def write(warehouse: Warehouse, path: Path, **options: Any) -> int:
    with warehouse.open() as connection:
        return export(connection, path, ExportSettings(**options))


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv"])
def test_an_export_can_be_imported_again(ending: str, filled: Warehouse, tmp_path: Path) -> None:
    path, again = tmp_path / f"out{ending}", empty_warehouse(tmp_path / "again.duckdb")
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


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        *(
            (options, ending)
            for options in ({}, {"conversational": True}, {"layout": "llama-factory"})
            for ending in (".jsonl", ".json", ".parquet")
        ),
        ({"layout": "openai"}, ".jsonl"),
    ],
)
def test_exported_pairs_can_be_imported_elsewhere(
    options: dict[str, Any], ending: str, filled: Warehouse, tmp_path: Path
) -> None:
    path, elsewhere = tmp_path / f"out{ending}", empty_warehouse(tmp_path / "elsewhere.duckdb")
    pairs = write(filled, path, kind="pairs", system_prompt="Você é Galileu.", **options)
    assert import_file(elsewhere, path).accepted == pairs == 2
    texts = tmp_path / "texts.jsonl"
    write(filled, texts, kind="pairs")
    with elsewhere.open() as connection:
        stored = connection.execute("SELECT query, chosen, rejected FROM feedback_choices").fetchall()
    assert sorted(stored) == sorted((row["prompt"], row["chosen"], row["rejected"]) for row in read(texts))


@pytest.mark.parametrize("options", [{}, {"conversational": True}, {"layout": "llama-factory"}], ids=str)
def test_exported_labels_can_be_imported_elsewhere(options: dict[str, Any], filled: Warehouse, tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "out.jsonl", empty_warehouse(tmp_path / "elsewhere.duckdb")
    answers = write(filled, path, kind="kto", **options)
    assert import_file(elsewhere, path).accepted == answers == 2
    with elsewhere.open() as connection:
        stored = connection.execute("SELECT response, thumbs_up FROM feedback ORDER BY ALL").fetchall()
    assert stored == [("Não sei.", False), ("Sou Galileu.", True)]


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
            assert row["guarded_columns"] == ("" if row["comment"].startswith("'already") else "comment")
    again = empty_warehouse(tmp_path / "again.duckdb")
    import_file(again, path)
    with warehouse.open() as one, again.open() as other:
        assert content_digest(one) == content_digest(other)


def test_the_apostrophes_of_others_stay(warehouse: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("query,response,rating\n'=SOMA(A1)' soma?,'-1' é um texto,5\n", encoding="utf-8")
    assert import_file(warehouse, path).accepted == 1
    with warehouse.open() as connection:
        assert connection.execute("SELECT query, response FROM feedback").fetchall() == [
            ("'=SOMA(A1)' soma?", "'-1' é um texto")
        ]


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_trainers_learn_no_apostrophes(ending: str, warehouse: Warehouse, tmp_path: Path) -> None:
    good = ["- um\n- dois", "+1", "=A1", "@ana", "\t- um", "'=1"]
    answers = [(text, 5) for text in good] + [(f"-{text}", 1) for text in good]
    rows = [
        {**VOTE, "feedback_id": f"v{row}", "user_id": f"u{row}", "query": f"q{row % len(good)}", "response": text}
        | {"rating": rating}
        for row, (text, rating) in enumerate(answers)
    ]
    import_file(warehouse, json_lines(tmp_path / "rows", rows))
    for kind, column in (("training", "completion"), ("pairs", "chosen"), ("kto", "completion")):
        path = tmp_path / f"{kind}{ending}"
        write(warehouse, path, kind=kind)
        assert {row[column] for row in read(path)} >= set(good)


@pytest.mark.parametrize("ending", [".jsonl", ".json"])
def test_numbers_that_json_has_not_are_null(ending: str, warehouse: Warehouse, tmp_path: Path) -> None:
    rows, path = tmp_path / "rows", tmp_path / f"out{ending}"
    numbers = ["NaN", "nan", "Infinity", "-Infinity", "inf", "1e400", "9" * 400]
    document = f'{{"a": [{", ".join(numbers)}], "b": {json.dumps(numbers)}}}'
    rows.write_text(json.dumps({**VOTE, "metadata": 0}).replace('"metadata": 0', f'"metadata": {document}'))
    assert import_file(warehouse, rows).accepted == 1
    write(warehouse, path, kind="feedback")
    assert read(path)[0]["metadata"] == {"a": [None] * len(numbers), "b": numbers}


def test_json_columns_are_json_in_json(filled: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(filled, path, kind="feedback")
    assert next(row for row in read(path) if row["feedback_id"] == "b")["metadata"] == {"a": [1]}


def test_good_and_bad_answers_for_kto(warehouse: Warehouse, tmp_path: Path) -> None:
    rows = [
        {**VOTE, "feedback_id": str(stars), "user_id": f"u{stars}", "response": f"{stars} estrelas", "rating": stars}
        for stars in range(1, 6)
    ]
    import_file(warehouse, json_lines(tmp_path / "rows", rows))
    write(warehouse, tmp_path / "a.jsonl", kind="kto")
    labels = {row["completion"]: row["label"] for row in read(tmp_path / "a.jsonl")}
    assert labels == {"5 estrelas": True, "4 estrelas": True, "2 estrelas": False, "1 estrelas": False}
    assert write(warehouse, tmp_path / "b.jsonl", kind="kto", min_rating=5) == 2
    assert write(warehouse, tmp_path / "c.jsonl", kind="kto", min_rating=3) == 5
    with pytest.raises(InputError, match="--min-rating takes 3 to 5"):
        write(warehouse, tmp_path / "d.jsonl", kind="kto", min_rating=2)


def test_openai_reads_pairs(filled: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert write(filled, path, kind="pairs", layout="openai", system_prompt="Você é Galileu.") == 2
    row = next(row for row in read(path) if row["preferred_output"][0]["content"] == "Sou Galileu.")
    assert row == {
        "input": {
            "messages": [
                {"role": "system", "content": "Você é Galileu."},
                {"role": "user", "content": "Quem é você?"},
            ]
        },
        "preferred_output": [{"role": "assistant", "content": "Sou Galileu."}],
        "non_preferred_output": [{"role": "assistant", "content": "Não sei."}],
    }


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".parquet", ".csv"])
def test_llama_factory_reads_every_kind(ending: str, filled: Warehouse, tmp_path: Path) -> None:
    asked = {"instruction": "Quem é você?", "input": "", "system": "Seja breve."}
    expected = {
        "training": asked | {"output": "Sou Galileu."},
        "pairs": asked | {"chosen": "Sou Galileu.", "rejected": "Não sei."},
        "kto": asked | {"output": "Sou Galileu.", "kto_tag": True},
    }
    for kind, row in expected.items():
        path = tmp_path / f"{kind}{ending}"
        write(filled, path, kind=kind, layout="llama-factory", system_prompt="Seja breve.")
        if ending == ".csv":
            row = {name: "true" if value is True else value for name, value in row.items()}
        assert row in read(path)


def test_what_does_not_go_together(filled: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"use one of \.jsonl"):
        write(filled, tmp_path / "out.xlsx", kind="feedback")
    for path, kind in ((tmp_path / "out.csv", "pairs"), (tmp_path / "out.json", "feedback")):
        with pytest.raises(InputError, match="leave out --conversational"):
            write(filled, path, kind=kind, conversational=True)
    for ending, options in (
        (".jsonl", {"kind": "training", "layout": "openai"}),
        (".json", {"kind": "pairs", "layout": "openai"}),
        (".jsonl", {"kind": "feedback", "layout": "llama-factory"}),
    ):
        with pytest.raises(InputError, match=r"OpenAI's preference format is for pairs|leave out --format"):
            write(filled, tmp_path / f"out{ending}", **options)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("out", ".out"))]
