"""Which column is read as what; nothing that a file says is dropped without a word."""

import csv
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.imports import FileImport, import_file
from galileu_pipeline.feedback.ingestion.ingestor import Ingestor, content_digest
from galileu_pipeline.feedback.ingestion.sources import json_lines
from galileu_pipeline.feedback.ingestion.sources.columns import ColumnUse, folded
from galileu_pipeline.feedback.ingestion.sources.files import FeedbackFile, Format
from galileu_pipeline.feedback.ingestion.sources.shapes import FIELD_NAMES
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import PSEUDONYMS, Row, empty_warehouse, preparer

pytestmark = pytest.mark.slow


def json_file(folder: Path, row: Row) -> Path:
    path = folder / "x.jsonl"
    path.write_text(json.dumps(row), encoding="utf-8")
    return path


def csv_file(folder: Path, row: Row) -> Path:
    path = folder / "x.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([row.keys(), row.values()])
    return path


def sqlite_file(folder: Path, row: Row) -> Path:
    path = folder / "x.db"
    with sqlite3.connect(path) as connection:
        columns = ", ".join(f'"{name}"' for name in row)
        connection.execute(f"CREATE TABLE feedback ({columns})")
        connection.execute(f"INSERT INTO feedback VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
    return path


def parquet_file(folder: Path, row: Row) -> Path:
    path = folder / "x.parquet"
    pq.write_table(pa.Table.from_pylist([row]), path)
    return path


Writer = Callable[[Path, Row], Path]
every_layout = pytest.mark.parametrize("write", [json_file, csv_file, sqlite_file, parquet_file])


def read(warehouse: Warehouse, path: Path, **mapping: str) -> FileImport:
    with warehouse.open() as connection:
        return import_file(Ingestor(connection, preparer()), FeedbackFile.recognise(path), mapping, None)


def votes(warehouse: Warehouse, columns: str = "query, response, rating") -> list[Any]:
    with warehouse.open() as connection:
        return connection.execute(f"SELECT {columns} FROM feedback").fetchall()


@every_layout
@pytest.mark.parametrize(
    "names",
    [
        ("Query", "Response", "Rating", "userId", "sessionId"),
        ("QUERY", "RESPONSE", "RATING", "USER_ID", "SESSION_ID"),
        ("query", "response", "rating", "User ID", "session-id"),
        (" query", "response ", "ra ting", "user.id", "Session_Id"),
    ],
)
def test_names_match_without_case_and_separators(
    names: tuple[str, ...], write: Writer, tmp_path: Path, warehouse: Warehouse
) -> None:
    report = read(warehouse, write(tmp_path, dict(zip(names, ("q", "r", 4, "ana", "s1"), strict=True))))
    assert votes(warehouse, "query, response, rating, user_id") == [("q", "r", 4, PSEUDONYMS.of("ana"))]
    assert report.summary.unused == {}


def test_what_an_export_says_of_its_guards_is_no_column_of_somebody(tmp_path: Path, warehouse: Warehouse) -> None:
    row = {"query": "'=1+1", "response": "'-", "rating": 4, "guarded_columns": "query"}
    report = read(warehouse, csv_file(tmp_path, row))
    assert votes(warehouse) == [("=1+1", "'-", 4)]
    assert report.summary.unused == {}


@every_layout
@pytest.mark.parametrize(
    ("column", "mapped"), [("nota", "Nota"), ("Nota", "nota"), ("nota_final", "Nota Final"), ("Nota", "NOTA")]
)
def test_a_mapped_name_matches_without_case_and_separators(
    column: str, mapped: str, write: Writer, tmp_path: Path, warehouse: Warehouse
) -> None:
    read(warehouse, write(tmp_path, {"query": "q", "response": "r", column: 2}), rating=mapped)
    assert votes(warehouse) == [("q", "r", 2)]


@every_layout
@pytest.mark.parametrize("mapped", ["note", "data.rating", "nota.x"])
def test_a_mapped_name_that_is_not_there(mapped: str, write: Writer, tmp_path: Path, warehouse: Warehouse) -> None:
    path = write(tmp_path, {"query": "q", "response": "r", "nota": 2})
    with pytest.raises(InputError, match=rf"--map rating={mapped}: there is no such column. There are: .*nota"):
        read(warehouse, path, rating=mapped)
    assert votes(warehouse) == []


@every_layout
@pytest.mark.parametrize(
    ("column", "likely"),
    [
        ("createdAt", "timestamp"),
        ("created_at", "timestamp"),
        ("Nota", "rating"),
        ("stars", "rating"),
        ("comentário", None),
        ("comentario", "comment"),
        ("username", "user_id"),
        ("conversation_id", "session_id"),
        ("colour", None),
    ],
)
def test_columns_that_are_not_read_are_told(
    column: str, likely: str | None, write: Writer, tmp_path: Path, warehouse: Warehouse
) -> None:
    report = read(warehouse, write(tmp_path, {"query": "q", "response": "r", "thumbs_up": 1, column: "x"}))
    assert report.summary.unused == {column: likely}
    assert any(column in note and (likely or "") in note for note in report.summary.notes())


@every_layout
def test_two_columns_that_could_be_one_field(write: Writer, tmp_path: Path, warehouse: Warehouse) -> None:
    row: Row = {"query": "q", "response": "r", "Rating": 1, "ra-ting": 5}
    with pytest.raises(InputError, match=r"Rating and ra-ting could both be rating|ra-ting and Rating"):
        read(warehouse, write(tmp_path, row))
    read(warehouse, FeedbackFile.recognise(next(tmp_path.glob("x.*"))).path, rating="Rating")
    assert votes(warehouse) == [("q", "r", 1)]


@every_layout
def test_the_exact_name_wins(write: Writer, tmp_path: Path, warehouse: Warehouse) -> None:
    row: Row = {"query": "q", "response": "r", "user-id": "bia", "user_id": "ana", "rating": 3}
    assert read(warehouse, write(tmp_path, row)).summary.unused == {"user-id": None}
    assert votes(warehouse, "user_id") == [(PSEUDONYMS.of("ana"),)]


SPELT = [
    {"query": "q1", "response": "r", "Rating": 5, "user-id": "ana"},
    {"query": "q2", "response": "r", "rating": 1, "userId": "ana"},
    {"QUERY": "q3", "response": "r", "ra_ting": 2, "rating": None, "user_id": "ana"},
    {"query": "q4", "Response": "r", "RATING": 3, "rating": "", "userId": "ana"},
]


@pytest.mark.parametrize("bytes_a_batch", [80, 1 << 20])
@pytest.mark.parametrize("order", [SPELT, SPELT[::-1]], ids=["late", "early"])
def test_rows_that_spell_their_fields_otherwise(
    order: list[Row], bytes_a_batch: int, tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "BATCH_BYTES", bytes_a_batch)
    path = tmp_path / "x.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in order), encoding="utf-8")
    report = read(warehouse, path)
    assert report.summary.unused == {}
    assert sorted(votes(warehouse, "query, rating, user_id")) == [
        (f"q{number}", rating, PSEUDONYMS.of("ana")) for number, rating in ((1, 5), (2, 1), (3, 2), (4, 3))
    ]


@pytest.mark.parametrize("wrapped", [False, True])
def test_rows_that_spell_a_mapped_field_otherwise(wrapped: bool, tmp_path: Path, warehouse: Warehouse) -> None:
    rows = [{"query": f"q{n}", "response": "r", name: n} for n, name in enumerate(("nota", "Nota", "NOTA"), start=1)]
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"data": rows} if wrapped else rows), encoding="utf-8")
    report = read(warehouse, path, rating="Nota")
    assert report.summary.unused == {}
    assert report.summary.first_rows == [{"query": f"q{n}", "response": "r", "rating": n} for n in (1, 2, 3)]
    assert sorted(votes(warehouse, "rating")) == [(1,), (2,), (3,)]


def test_a_row_with_two_spellings_of_a_field(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.jsonl"
    rows = [{"query": "q", "response": "r", "Rating": 1}, {"query": "q", "response": "s", "ra-ting": 5, "RATING": 5}]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    with pytest.raises(InputError, match=r"ra-ting and RATING|RATING and ra-ting"):
        read(warehouse, path)


def test_a_name_that_first_comes_late(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.jsonl"
    rows = [{"query": f"q{number}", "response": "r", "rating": 3} for number in range(50)]
    path.write_text("\n".join(map(json.dumps, [*rows, {"query": "late", "response": "r", "Thumbs-Up": True}])))
    assert read(warehouse, path).accepted == 51


@pytest.mark.parametrize("layout", ["lines", "array", "wrapped"])
@pytest.mark.parametrize(
    ("row", "mapped"),
    [
        ({"data": {"rating": 2}}, "data.rating"),
        ({"Data": {"rating": 2}}, "data.rating"),
        ({"data": {"scores": [{"value": 2}, {"value": 5}]}}, "data.scores.0.value"),
        ({"data.rating": 2}, "data.rating"),
        ({'a "b"': {"c d": 2}}, 'a "b".c d'),
    ],
)
def test_fields_within_fields(row: Row, mapped: str, layout: str, tmp_path: Path, warehouse: Warehouse) -> None:
    whole = {"query": "q", "response": "r", **row}
    documents: dict[str, Any] = {"lines": whole, "array": [whole], "wrapped": {"data": [whole]}}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(documents[layout]), encoding="utf-8")
    report = read(warehouse, path, rating=mapped)
    assert votes(warehouse) == [("q", "r", 2)]
    assert report.summary.first_rows == [{"query": "q", "response": "r", "rating": 2}]


@pytest.mark.parametrize(
    "document",
    [
        '{"data": [%s, %s]}',
        '{"total": 2, "next": null, "results": [%s,\n %s ] , "page": {"a": [1]}}',
        '\ufeff{\n  "meta": {"version": 2},\n  "rows": [\n%s,\n%s\n]\n}\n',
        '{"feedback":[%s,%s],"more":[]}',
    ],
)
def test_lists_within_an_object(document: str, tmp_path: Path, warehouse: Warehouse) -> None:
    rows = [json.dumps({"query": f"q{n}", "response": "vírgula, ] e }", "rating": n}, indent=n) for n in (1, 5)]
    path = tmp_path / "x.json"
    path.write_text(document % tuple(rows), encoding="utf-8")
    assert FeedbackFile.recognise(path).format == Format.JSON_WRAPPED
    assert read(warehouse, path).accepted == 2


@pytest.mark.parametrize(
    "document",
    [
        '{"data": [{"query": "q"}, {"query": ',
        '{"data": [{"query": "q"} {"query": "r"}]}',
        '{"data": [{"query": "q"}], "more": ',
        '{"data": [{"query": "q"}]',
        '{"data": [{"query": "q"}, nonsense]}',
    ],
)
def test_a_list_within_an_object_that_breaks_off(document: str, tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.json"
    path.write_text(document, encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.json.* cannot be read as JSON"):
        read(warehouse, path)


def test_a_row_with_a_list_of_its_own_is_a_row(tmp_path: Path, warehouse: Warehouse) -> None:
    row = {"source_documents": [{"a": 1}], "query": "q", "response": "r", "rating": 3, "votes": [{"x": 1}]}
    assert FeedbackFile.recognise(json_file(tmp_path, row)).format == Format.JSON_LINES
    assert FeedbackFile.recognise(json_file(tmp_path, {"query": "q", "votes": [{"x": 1}]})).format == Format.JSON_LINES


EMPTY_FIELDS = sorted(set(FIELD_NAMES) - {"query", "response", "rating", "timestamp"})


@pytest.mark.parametrize("empty", EMPTY_FIELDS)
def test_empty_is_absent_in_every_layout(empty: str, tmp_path: Path) -> None:
    row: Row = {"query": "q", "response": "r", "rating": 3, "timestamp": "2026-03-10T10:00:00Z", empty: ""}
    digests = set()
    for number, path in enumerate([csv_file(tmp_path, row), json_file(tmp_path, row), sqlite_file(tmp_path, row)]):
        warehouse = empty_warehouse(tmp_path / f"{number}.duckdb")
        with warehouse.open() as connection:
            assert Ingestor(connection, preparer()).file(FeedbackFile.recognise(path), {}).accepted == 1
            digests.add(content_digest(connection))
    assert len(digests) == 1


ABSENT = ["nan", "NaN", "NaT", "NULL", "None", "n/a", "#N/A", "-", " "]


@every_layout
@pytest.mark.parametrize("absent", ABSENT)
def test_words_for_no_value(absent: str, write: Writer, tmp_path: Path, warehouse: Warehouse) -> None:
    row: Row = {"query": "q", "response": "r", "comment": "bom"}
    row |= dict.fromkeys(("rating", "thumbs_up", "timestamp", "user_id", "feedback_id"), absent)
    assert read(warehouse, write(tmp_path, row)).accepted == 1
    assert votes(warehouse, "comment, rating, thumbs_up, occurred_at, user_id") == [("bom", None, None, None, None)]
    assert votes(warehouse, "feedback_id") != [(absent,)]


@pytest.mark.parametrize("field", [name for name in FIELD_NAMES if name not in ("query", "response", "rating")])
def test_not_a_number_is_no_value(field: str, tmp_path: Path, warehouse: Warehouse) -> None:
    row: Row = {"query": "O que é NaN?", "response": "NaN", "rating": 3, field: float("nan")}
    assert read(warehouse, json_file(tmp_path, row)).accepted == 1
    assert votes(warehouse) == [("O que é NaN?", "NaN", 3)]


def test_not_a_number_in_place_of_a_text(tmp_path: Path, warehouse: Warehouse) -> None:
    row: Row = {"query": float("nan"), "response": "r", "rating": 3}
    assert read(warehouse, json_file(tmp_path, row)).quarantined == {"missing_text": 1}


def test_folded_names_are_unique() -> None:
    assert len({folded(name) for name in FIELD_NAMES}) == len(FIELD_NAMES)


def test_a_mapping_of_no_field() -> None:
    with pytest.raises(InputError, match="no field pergunta"):
        ColumnUse({"pergunta": "query"})


@pytest.mark.parametrize("name", ["2024", "0", "²"])
@pytest.mark.parametrize("write", [csv_file, json_file])
def test_a_column_called_by_a_number(name: str, write: Writer, tmp_path: Path, warehouse: Warehouse) -> None:
    read(warehouse, write(tmp_path, {"query": "q", "response": "r", name: 5}), rating=name)
    assert votes(warehouse) == [("q", "r", 5.0)]


@pytest.mark.parametrize("second", ["preference_pairs", "ratings", "others"])
def test_rows_in_several_lists_of_one_object(second: str, tmp_path: Path, warehouse: Warehouse) -> None:
    choice = {"query": "q", "response_chosen": "x", "response_rejected": "y"}
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"feedback": [{"query": "q", "response": "r", "rating": 5}], second: [choice]}))
    with pytest.raises(InputError, match=f"rows in several lists, `{second}` among them"):
        read(warehouse, path)
    assert votes(warehouse) == []


@pytest.mark.parametrize("wrap", ["{}", "[{}]", '{{"data": [{}]}}'])
def test_what_is_nested_too_deep_is_no_traceback(wrap: str, tmp_path: Path, warehouse: Warehouse) -> None:
    row = '{"query": "q", "response": "r", "rating": 5, "metadata": ' + "[" * 100_000 + "]" * 100_000 + "}"
    path = tmp_path / "x.json"
    path.write_text(wrap.format(row))
    with suppress(InputError):  # or the row is refused
        read(warehouse, path)
    assert votes(warehouse) in ([], [("q", "r", 5.0)])


def test_tables_of_one_file_may_name_a_field_otherwise(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            "CREATE TABLE feedback (query, response, rating, userId);"
            "CREATE TABLE preference_pairs (query, response_chosen, response_rejected, user_id);"
            "INSERT INTO feedback VALUES ('q', 'r', 5, 'ana'), ('q', 's', 1, 'bia');"
            "INSERT INTO preference_pairs VALUES ('q', 'r', 's', 'ana');"
        )
    assert read(warehouse, path).summary.unused == {}
    people = "SELECT count(DISTINCT user_id) FROM (SELECT user_id FROM feedback UNION ALL SELECT user_id FROM {})"
    with warehouse.open() as connection:
        assert connection.execute(people.format("feedback_choices")).fetchall() == [(2,)]


def test_a_column_that_only_later_batches_have_is_read(
    tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "BATCH_BYTES", 150)  # about two rows
    rows: list[Row] = [{"query": f"q{number}", "response": "r", "rating": 5} for number in range(12)]
    for row in rows[6:]:
        row["Comentário" if row["query"] == "q11" else "Comment"] = f"of {row['query']}"
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert read(warehouse, path).accepted == 12
    with warehouse.open() as connection:
        found = connection.execute("SELECT query, comment FROM feedback WHERE comment IS NOT NULL").fetchall()
    assert sorted(found) == sorted((row["query"], row["Comment"]) for row in rows if "Comment" in row)


@pytest.mark.parametrize("down", ["thumbs_down", "Thumbs Down", "dislikes", "downvote"])
@every_layout
def test_thumbs_in_two_columns_are_refused_as_one(
    write: Writer, down: str, tmp_path: Path, warehouse: Warehouse
) -> None:
    path = write(tmp_path, {"query": "q", "response": "r", "thumbs_up": 0, down: 0})
    with pytest.raises(InputError, match="two columns"):
        read(warehouse, path)
    assert votes(warehouse) == []
    assert read(warehouse, path, thumbs_up="thumbs_up").accepted == 1


@pytest.mark.parametrize(("text", "accepted"), [("não é".encode(), 1), (b"n\xe3o", 0)])
def test_bytes_in_parquet_are_texts_or_refused(
    text: bytes, accepted: int, tmp_path: Path, warehouse: Warehouse
) -> None:
    path = parquet_file(tmp_path, {"query": "q", "response": text, "rating": 5})
    if accepted:
        assert read(warehouse, path).accepted == 1
        assert votes(warehouse) == [("q", "não é", 5)]
    else:
        with pytest.raises(InputError, match="response holds bytes"):
            read(warehouse, path)


def test_white_space_after_the_end_of_a_list(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.json"
    path.write_text("[" + json.dumps({"query": "q", "response": "r", "rating": 5}) + "]" + " \n" * 70_000)
    assert read(warehouse, path).accepted == 1


@pytest.mark.parametrize("end", ["", ",", ",\n", "\n "])
def test_a_list_without_an_end_is_refused(end: str, tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.json"
    path.write_text("[" + json.dumps({"query": "q", "response": "r", "rating": 5}) + end, encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read(warehouse, path)
    assert votes(warehouse) == []
