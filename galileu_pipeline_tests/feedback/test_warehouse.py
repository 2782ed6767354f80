"""A warehouse opened as users do: what its SQL may reach, and one that another version made."""

import json
from pathlib import Path

import duckdb
import pytest

from galileu_pipeline.errors import GalileuError
from galileu_pipeline.feedback.ingestion.ingestor import content_digest
from galileu_pipeline.feedback.pairing.pairs import PairingSettings, build_pairs, preference_pairs
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import Row, import_file

TEXT_KEYS = """
DROP TABLE schema_text;
DROP VIEW pair_sources;
DROP VIEW pairs_with_texts;
DROP VIEW answers_with_texts;
DROP VIEW given_rows;
DROP TABLE set_aside;
DROP TABLE answers;
DROP TABLE queries;
DROP TABLE preference_pairs;
CREATE TABLE set_aside (feedback_id VARCHAR, query_key VARCHAR, person VARCHAR);
CREATE TABLE answers (query_key VARCHAR, response VARCHAR, response_digest VARCHAR);
CREATE TABLE queries (query_key VARCHAR, prompt VARCHAR);
CREATE TABLE preference_pairs (pair_id VARCHAR, query_key VARCHAR, prompt VARCHAR, chosen VARCHAR, rejected VARCHAR);
CREATE TABLE pair_sources (pair_id VARCHAR, feedback_id VARCHAR, role VARCHAR);
ALTER TABLE feedback ALTER query_key TYPE VARCHAR USING query;
ALTER TABLE feedback ALTER response_digest TYPE VARCHAR USING replace(response_digest::VARCHAR, '-', '');
ALTER TABLE feedback_choices ALTER query_key TYPE VARCHAR USING query;
ALTER TABLE feedback_choices ALTER chosen_digest TYPE VARCHAR USING replace(chosen_digest::VARCHAR, '-', '');
ALTER TABLE feedback_choices ALTER rejected_digest TYPE VARCHAR USING replace(rejected_digest::VARCHAR, '-', '');
ALTER TABLE feedback_comparisons ALTER query_key TYPE VARCHAR USING query;
ALTER TABLE feedback_comparisons
ALTER response_left_digest TYPE VARCHAR USING replace(response_left_digest::VARCHAR, '-', '');
ALTER TABLE feedback_comparisons
ALTER response_right_digest TYPE VARCHAR USING replace(response_right_digest::VARCHAR, '-', '');
ALTER TABLE feedback_history ALTER query_key TYPE VARCHAR USING state ->> '$.query';
"""
TEXT_DIGESTS = (
    "".join(
        f"ALTER TABLE {table} ALTER row_digest TYPE VARCHAR USING replace(row_digest::VARCHAR, '-', '');"
        for table in ("feedback", "feedback_choices", "feedback_comparisons", "feedback_history")
    )
    + "ALTER TABLE derived_tables DROP heaviest;"
)
ROWS: list[Row] = [
    {"feedback_id": "v1", "query": "q", "response": "a", "rating": 5, "user_id": "ana"},
    {"feedback_id": "v2", "query": "q", "response": "b", "rating": 2, "user_id": "ana"},
    {"feedback_id": "v2", "query": "q", "response": "b", "rating": 1, "user_id": "ana"},
    {"feedback_id": "c1", "query": "é", "response_chosen": "a", "response_rejected": "b", "user_id": "bia"},
    {"feedback_id": "s1", "query": "z", "response_left": "a", "response_right": "b", "verdict": "right"},
]


@pytest.fixture(scope="module", autouse=True)
def one_engine() -> None:
    """Each has its own, as anywhere but in tests."""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS), encoding="utf-8")
    return path


def pairs(warehouse: Warehouse) -> list[dict[str, object]]:
    with warehouse.open() as connection:
        build_pairs(connection, PairingSettings())
        return preference_pairs(connection).read_all().to_pylist()


@pytest.mark.parametrize(
    "made", ["UPDATE schema_text SET digest = '';" + TEXT_DIGESTS, TEXT_KEYS + TEXT_DIGESTS], ids=["rows", "all"]
)
def test_what_was_known_by_texts_becomes_known_by_digests(warehouse: Warehouse, rows: Path, made: str) -> None:
    assert import_file(warehouse, rows).replaced == 1
    before = pairs(warehouse)
    with warehouse.open() as connection:
        content = content_digest(connection)
    with duckdb.connect(str(warehouse.path)) as shell:
        shell.execute(made)

    assert pairs(warehouse) == before
    with warehouse.open() as connection:
        assert content_digest(connection) == content
    assert len(before) == 3
    assert import_file(warehouse, rows).duplicates == len(ROWS)
    assert pairs(warehouse) == before


def test_views_follow_their_definitions(warehouse: Warehouse, rows: Path) -> None:
    import_file(warehouse, rows)
    with duckdb.connect(str(warehouse.path)) as shell:
        shell.execute("CREATE OR REPLACE VIEW preferences AS SELECT 1 AS other")
        shell.execute("UPDATE schema_text SET digest = 'of another text'")
    assert len(pairs(warehouse)) == 3


def test_one_that_is_too_old_says_what_to_do(warehouse: Warehouse, rows: Path) -> None:
    import_file(warehouse, rows)
    with duckdb.connect(str(warehouse.path)) as shell:
        shell.execute(TEXT_KEYS)
        shell.execute("ALTER TABLE feedback_comparisons DROP response_left_digest")
    with pytest.raises(GalileuError, match="Move it away"), warehouse.open():
        pass
    assert warehouse.path.exists()


def test_sql_reaches_no_other_file_and_cannot_allow_itself_to(warehouse: Warehouse, rows: Path) -> None:
    for statement in (
        f"SELECT * FROM read_text('{rows}')",
        f"COPY feedback TO '{rows.parent / 'copy.csv'}'",
        f"ATTACH '{rows.parent / 'other.duckdb'}'",
        "SET enable_external_access = true",
        f"SET allowed_paths = ['{rows}']",
    ):
        with (
            pytest.raises((duckdb.PermissionException, duckdb.InvalidInputException)),
            warehouse.open() as connection,
        ):
            connection.execute(statement)
    assert not (rows.parent / "copy.csv").exists()
