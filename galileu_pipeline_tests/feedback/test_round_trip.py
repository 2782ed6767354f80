"""What is exported and imported again is equal in every field, in every format."""

import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galileu_pipeline.feedback.collection.collector import FeedbackCollector
from galileu_pipeline.feedback.ingestion.cleaning import visible
from galileu_pipeline.feedback.ingestion.documents import DOCUMENT_COLUMNS
from galileu_pipeline.feedback.ingestion.preparation import BROKEN_CELLS
from galileu_pipeline.feedback.pairing.exports import ExportSettings, export
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import PSEUDONYMS, Row, empty_warehouse, import_file, ingest
from galileu_pipeline_tests.feedback.test_imports import json_lines

pytestmark = pytest.mark.slow

ENDINGS = [".jsonl", ".json", ".csv", ".parquet"]
TRICKY = [
    "=cmd|' /C calc'!A0",
    "'=1",
    "''+1",
    "- item\n- item",
    "@SUM(A1)",
    "\t=1",
    '"aspas", vírgula; ponto',
    "    x = 1\n\ty\u2028z",
    "null",
    "NaN",
    "''",
    '"',
    "🧑\u200d🚀 ✔️",
    "a\r\nb",
    "&lt;b&gt;",
    "IRMÃ”",
    "NÃ£o é",
    "ana@x.com ou 529.982.247-25",
    '{"a": 1}',
    "true",
]
REFUSED = {"", *BROKEN_CELLS.to_pylist()}  # Hypothesis tries constants of the code too
TEXT = st.sampled_from(TRICKY) | st.text(st.characters(codec="utf-8"), max_size=20).filter(
    lambda text: visible(text).strip() not in REFUSED
)
NUMBER = st.integers(-(2**70), 2**70) | st.floats(allow_nan=True, allow_infinity=True)
DOCUMENT = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ip", "user_id", "name", "texto"]) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
EVENT = {
    "timestamp": st.datetimes(datetime(2022, 12, 1), datetime(2026, 11, 1)).map(
        lambda at: at.replace(tzinfo=UTC).isoformat()
    ),
    "session_id": st.none() | st.sampled_from(["s1", "s2"]),
    "user_id": st.none() | st.sampled_from(["ana", "bia", "7"]),
    "query": TEXT,
    "metadata": st.none() | DOCUMENT,
}
VOTES = st.fixed_dictionaries(
    EVENT
    | {
        "response": TEXT,
        "rating": st.none() | st.floats(1, 5),
        "thumbs_up": st.none() | st.booleans(),
        "comment": TEXT,
        "source_documents": st.none() | DOCUMENT,
    }
)
CHOICES = st.fixed_dictionaries(
    EVENT
    | {"response_chosen": TEXT.map("{} sim".format), "response_rejected": TEXT.map("{} não".format), "reason": TEXT}
)
COMPARISONS = st.fixed_dictionaries(
    EVENT
    | {
        "response_left": TEXT.map("{} sim".format),
        "response_right": TEXT.map("{} não".format),
        "verdict": st.sampled_from(["left", "right", "tie", "both_bad"]),
        "model_left": st.sampled_from(["m", "=m", "'+m"]),
        "reason": st.none() | TEXT,
    }
)
STORED = (
    "SELECT * EXCLUDE (source, position, ingestion, repaired, masked) FROM {}"  # but where a row came from, and how
)


def stored(warehouse: Warehouse) -> list[Any]:
    """All accepted rows, whatever their order."""
    rows = []
    with warehouse.open() as connection:
        for table in ("feedback", "feedback_choices", "feedback_comparisons"):
            cursor = connection.execute(STORED.format(table))
            names = [column[0] for column in cursor.description]
            rows += [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
    for row in rows:
        for name in DOCUMENT_COLUMNS:
            if row.get(name) is not None:
                row[name] = strictly(row[name])
    return sorted(rows, key=repr)


def preferences(warehouse: Warehouse) -> list[Any]:
    """What pairs are made of, whatever the order."""
    with warehouse.open() as connection:
        cursor = connection.execute("SELECT * EXCLUDE (source, position, ingestion) FROM preferences")
        names = [column[0] for column in cursor.description]
        return sorted((dict(zip(names, values, strict=True)) for values in cursor.fetchall()), key=repr)


def strictly(text: str) -> Any:
    """The value of what is JSON to any reader: without NaN and Infinity, which Python lets pass."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in {text}"))


def write(warehouse: Warehouse, path: Path, **options: Any) -> Path:
    with warehouse.open() as connection:
        export(connection, path, ExportSettings(**options))
    return path


@pytest.mark.parametrize("ending", ENDINGS)
@given(rows=st.lists(VOTES | CHOICES | COMPARISONS, min_size=1, max_size=12))
@settings(max_examples=8, deadline=None)
def test_nothing_changes_on_the_way_out_and_in(ending: str, rows: list[Row]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        one, other = empty_warehouse(folder / "one.duckdb"), empty_warehouse(folder / "other.duckdb")
        given_rows = [{"feedback_id": f"=id {number}", **row} for number, row in enumerate(rows)]
        assert import_file(one, json_lines(folder / "rows", given_rows)).accepted == len(rows)
        path = write(one, folder / f"out{ending}", kind="feedback")
        assert import_file(other, path).accepted == len(rows)
        assert stored(other) == stored(one)
        assert preferences(other) == preferences(one)
        assert import_file(one, path).duplicates == len(rows)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("verdict", ["left", "right", "tie", "both_bad"])
def test_a_collected_verdict_is_one_preference_at_most_on_both_sides(verdict: str, ending: str, tmp_path: Path) -> None:
    """The chatbot's file has a decided comparison twice: as such, and as a preference of the same id."""
    one, other = empty_warehouse(tmp_path / "one.duckdb"), empty_warehouse(tmp_path / "other.duckdb")
    collector = FeedbackCollector(tmp_path / "feedback.db", pseudonyms=PSEUDONYMS)
    collector.add_comparison("Que horas são?", "Dez.", "Onze.", verdict, user_id="ana", reason="=certa")
    ingest(one, collector.path)
    path = write(one, tmp_path / f"out{ending}", kind="feedback")
    import_file(other, path)
    assert stored(other) == stored(one)
    assert preferences(other) == preferences(one)
    chosen = {"left": ["Dez."], "right": ["Onze."]}.get(verdict, [])
    assert [row["chosen"] for row in preferences(other)] == chosen
    again = write(other, tmp_path / f"again{ending}", kind="feedback")
    assert sorted(again.read_bytes().splitlines()) == sorted(path.read_bytes().splitlines())
