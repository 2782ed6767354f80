"""import, quarantine, export and report through the real command line."""

import csv
import json
from pathlib import Path

import pytest

from galileu_pipeline_tests.e2e.sandbox import Sandbox, make_sandbox
from galileu_pipeline_tests.feedback.test_imports import VOTE, json_lines

pytestmark = pytest.mark.e2e


def test_in_and_out_again(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = [{**VOTE, "feedback_id": str(number), "rating": rating} for number, rating in enumerate([5, 1, 9])]
    path = json_lines(tmp_path / "ratings.jsonl", [*rows, {"query": "só a pergunta"}])

    unsaid = sandbox.galileu("import", str(path))
    assert unsaid.returncode == 2
    assert "likely --scale 0-10" in unsaid.stderr
    dry = sandbox.galileu("import", str(path), "--scale", "1-5", "--dry-run", "--json")
    (preview,) = json.loads(dry.stdout)
    assert (preview["layout"], preview["scale"], preview["rows"], preview["accepted"]) == ("json_lines", "1-5", 4, 2)
    assert preview["first_rows"][0]["rating"] == 5

    first = sandbox.galileu("import", str(path), "--scale", "1-5", "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout) == {
        "rows": 4,
        "accepted": 2,
        "duplicates": 0,
        "replaced": 0,
        "gone": 0,
        "quarantined": {"invalid_rating": 1, "missing_text": 1},
    }
    assert json.loads(sandbox.galileu("import", str(path), "--scale", "1-5", "--json").stdout)["duplicates"] == 4

    listed = sandbox.galileu("quarantine", COLUMNS="200")
    assert "ratings.jsonl" in listed.stdout
    assert "rating is 9, not a number from 1 to 5" in listed.stdout
    assert json.loads(sandbox.galileu("quarantine", "--retry", "--json").stdout)["accepted"] == 0

    out = tmp_path / "out.csv"
    exported = sandbox.galileu("export", "feedback", str(out), "--json")
    assert json.loads(exported.stdout) == {"path": str(out), "kind": "feedback", "rows": 2}
    with out.open(encoding="utf-8-sig", newline="") as file:
        assert {row["feedback_id"] for row in csv.DictReader(file)} == {"0", "1"}


def test_imported_feedback_is_enough_for_the_pipeline(sandbox: Sandbox, tmp_path: Path) -> None:
    rows = [
        {**VOTE, "feedback_id": f"{side}", "response": side, "rating": rating} for side, rating in (("a", 5), ("b", 1))
    ]
    assert sandbox.galileu("import", str(json_lines(tmp_path / "x.jsonl", rows))).returncode == 0
    done = sandbox.shell("dagster asset materialize --select raw_feedback,feedback_analytics")
    assert done.returncode == 0, done.stderr
    report = tmp_path / "report.html"
    assert sandbox.galileu("report", str(report)).returncode == 0
    text = report.read_text(encoding="utf-8")
    assert "1 pessoas deram 2 votos" in text
    assert "Nenhum modelo foi treinado ainda." in text


def test_nothing_bad_ends_in_a_traceback(tmp_path: Path) -> None:
    box = make_sandbox(tmp_path / "box")
    bad = {
        "empty.csv": b"",
        "zip.xlsx": b"PK\x03\x04",
        "cut.json": b'[{"query": "q"',
        "cut.gz": b"\x1f\x8b\x08\x00",
        "names.csv": b"pergunta,resposta\nq,r\n",
        "cut.db": b"SQLite format 3\x00" + b"\x00" * 100,
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        done = box.galileu("import", str(tmp_path / name))
        assert done.returncode == 2, name
        assert str(tmp_path / name) in done.stderr.replace("\n", ""), name
        assert "Traceback" not in done.stderr, name
    for arguments in (
        ("import", str(tmp_path / "none.csv")),
        ("import", str(tmp_path / "names.csv"), "--map", "query"),
        ("import", str(tmp_path / "names.csv"), "--scale", "stars"),
        ("export", "pairs", str(tmp_path / "out.xlsx")),
        ("export", "everything", str(tmp_path / "out.csv")),
        ("report", str(tmp_path / "out.html"), "--language", "fr"),
    ):
        done = box.galileu(*arguments)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr
    missing = box.galileu("report", str(tmp_path / "out.html"))
    assert missing.returncode == 1
    assert "`feedback_analytics` has not been materialized" in missing.stderr
