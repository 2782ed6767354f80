"""Files of every format and state: each gives counted rows, or one clear error."""

import csv
import gzip
import json
import math
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.ingestor import (
    IngestionReport,
    Ingestor,
    content_digest,
    ledger,
    masked_by_kind,
)
from galileu_pipeline.feedback.ingestion.sources.encoding import UTF8, text_encoding
from galileu_pipeline.feedback.ingestion.sources.files import FeedbackFile, Format
from galileu_pipeline.feedback.ingestion.sources.rows import MAX_ROW_BYTES
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import (
    NAUGHTY_STRINGS,
    PSEUDONYMS,
    REAL_RATINGS,
    ChatbotFile,
    Row,
    empty_warehouse,
    import_file,
    needs_naughty_strings,
    needs_real_ratings,
    preparer,
)

pytestmark = pytest.mark.slow

VOTE: Row = {
    "feedback_id": "a",
    "timestamp": "2026-11-24T10:00:00Z",
    "user_id": "ana",
    "query": "Quem é você?",
    "response": "Sou Galileu.",
    "rating": 5,
    "comment": "Adorei",
}
CHOICE: Row = {"query": "q", "response_chosen": "boa", "response_rejected": "ruim", "timestamp": "2026-11-24"}
TIE: Row = {"query": "q", "response_left": "a", "response_right": "b", "verdict": "tie", "timestamp": "2026-11-24"}


def votes(count: int) -> list[Row]:
    return [{**VOTE, "feedback_id": f"v{number}", "query": f"Pergunta {number}?"} for number in range(count)]


def json_lines(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def as_json_lines(folder: Path, rows: list[Row]) -> Path:
    return json_lines(folder / "rows", rows)


def as_json_array(folder: Path, rows: list[Row]) -> Path:
    path = folder / "rows"
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def as_json_objects(folder: Path, rows: list[Row]) -> Path:
    path = folder / "rows"
    path.write_text("\n".join(json.dumps(row, indent=2) for row in rows), encoding="utf-8")
    return path


def as_csv(folder: Path, rows: list[Row], delimiter: str = ",") -> Path:
    path = folder / "rows"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def as_sqlite(folder: Path, rows: list[Row]) -> Path:
    chatbot = ChatbotFile(folder / "rows")
    chatbot.votes(*rows)
    return chatbot.path


LAYOUTS: dict[Format, Callable[[Path, list[Row]], Path]] = {
    Format.JSON_LINES: as_json_lines,
    Format.JSON_ARRAY: as_json_array,
    Format.JSON_OBJECTS: as_json_objects,
    Format.CSV: as_csv,
    Format.SQLITE: as_sqlite,
}


def found(warehouse: Warehouse, statement: str) -> list[Any]:
    with warehouse.open() as connection:
        return connection.execute(statement).fetchall()


def assert_accounted(report: IngestionReport) -> None:
    assert report.rows == report.accepted + report.duplicates + sum(report.quarantined.values())


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_format_is_found_by_content_and_gives_the_same_rows(
    layout: Format, compressed: bool, tmp_path: Path, warehouse: Warehouse
) -> None:
    path = LAYOUTS[layout](tmp_path, votes(30))
    if compressed:
        packed = tmp_path / "packed"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    assert FeedbackFile.recognise(path) == FeedbackFile(path, layout, compressed)
    assert import_file(warehouse, path) == IngestionReport(rows=30, accepted=30)
    assert import_file(warehouse, path) == IngestionReport(rows=30, duplicates=30)
    plain = empty_warehouse(tmp_path / "plain.duckdb")
    import_file(plain, json_lines(tmp_path / "plain.jsonl", votes(30)))
    with warehouse.open() as one, plain.open() as two:
        assert content_digest(one) == content_digest(two)


def test_rows_of_all_kinds_in_one_file(tmp_path: Path, warehouse: Warehouse) -> None:
    assert import_file(warehouse, json_lines(tmp_path / "x", [VOTE, CHOICE, TIE])).accepted == 3
    for table in ("feedback", "feedback_choices", "feedback_comparisons"):
        assert found(warehouse, f"SELECT count(*) FROM {table}") == [(1,)]


def test_rows_without_an_id_are_known_again_by_their_content(tmp_path: Path, warehouse: Warehouse) -> None:
    anonymous = {name: value for name, value in VOTE.items() if name != "feedback_id"}
    untimed = {name: value for name, value in anonymous.items() if name != "timestamp"}
    path = json_lines(tmp_path / "x", [anonymous, anonymous, untimed, untimed])
    first, second = import_file(warehouse, path), import_file(warehouse, path)
    assert (first.accepted, first.duplicates) == (4, 0)  # two people may have said the same at once
    assert (second.accepted, second.duplicates) == (0, 4)


@pytest.mark.parametrize("layout", [Format.JSON_LINES, Format.JSON_ARRAY, Format.CSV, Format.SQLITE])
def test_columns_of_other_names(layout: Format, tmp_path: Path, warehouse: Warehouse) -> None:
    renamed = [{"pergunta": "q", 'a "resposta"': "r", "rating": 5, "quem": "ana"}]
    mapping = {"query": "pergunta", "response": 'a "resposta"', "user_id": "quem"}
    if layout == Format.SQLITE:
        path = tmp_path / "rows"
        with sqlite3.connect(path) as connection:
            connection.execute('CREATE TABLE feedback (pergunta, "a ""resposta""", rating, quem)')
            connection.execute("INSERT INTO feedback VALUES ('q', 'r', 5, 'ana')")
    else:
        path = LAYOUTS[layout](tmp_path, renamed)
    assert import_file(warehouse, path, **mapping).accepted == 1
    assert found(warehouse, "SELECT query, response, user_id FROM feedback") == [("q", "r", PSEUDONYMS.of("ana"))]


def test_renamed_columns_without_a_mapping(tmp_path: Path, warehouse: Warehouse) -> None:
    renamed = [{"pergunta": "q", "resposta": "r", "rating": 5}]
    with pytest.raises(InputError, match=r"the columns are pergunta, resposta, rating; .*--map query=NAME"):
        import_file(warehouse, as_csv(tmp_path, renamed))
    assert import_file(warehouse, json_lines(tmp_path / "x", renamed)).quarantined == {"missing_text": 1}
    with pytest.raises(InputError, match="no field pergunta"):
        import_file(warehouse, json_lines(tmp_path / "x", renamed), pergunta="query")


def test_spreadsheets_of_brazil(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "planilha.csv"
    path.write_text(
        'query;response;rating;timestamp\r\n"Quem\r\né você?";"Sou ""Galileu""; o físico";4,5;24/11/2026 07:30\r\n',
        encoding="utf-8-sig",
        newline="",
    )
    assert import_file(warehouse, path).accepted == 1
    ((query, response, rating, when),) = found(
        warehouse, "SELECT query, response, rating, occurred_at::VARCHAR FROM feedback"
    )
    assert (query, response, rating) == ("Quem\né você?", 'Sou "Galileu"; o físico', 4.5)
    assert when == "2026-11-24 07:30:00"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"query": "cut of', "invalid_json"),
        (b'["a list"]', "invalid_json"),
        (b'{"query": "q", "response": "\x00", "rating": 5}', "invalid_json"),
        (b'{"query": "q", "response": "\\ud800", "rating": 5}', "invalid_json"),
        (b'{"query": "q", "response": "\xff\xfe", "rating": 5}', "invalid_utf8"),
        (b'{"query": "q", "response": "r", "rating": NaN}', "no_signal"),
        (b'{"query": "q", "response": "r", "rating": Infinity}', "invalid_rating"),
        (b'{"query": "q", "response": "r", "rating": true}', "invalid_rating"),
        (b'{"query": "q", "response": "r", "rating": 5, "timestamp": "infinity"}', "invalid_timestamp"),
        (b'{"query": {"a": 1}, "response": "r", "rating": 5}', "not_text"),
        (b'{"query": "q", "response": 7, "rating": 5}', "not_text"),
        (b'{"query": "q", "response": "\\u0000", "rating": 5}', "missing_text"),
        (b'{"query": "q", "response": "r"}', "no_signal"),
        (b'{"query": "q", "response_chosen": "r", "response_rejected": " r"}', "same_responses"),
        (b'{"query": "q", "response_left": "a", "response_right": "b", "verdict": "?"}', "invalid_verdict"),
        (b'{"query": "q", "response": "' + b"x" * 100_001 + b'", "rating": 5}', "text_too_long"),
        (b'{"query": "q", "response": "' + b"x" * MAX_ROW_BYTES + b'", "rating": 5}', "row_too_long"),
    ],
)
def test_a_bad_line_is_quarantined_with_its_number(
    tmp_path: Path, warehouse: Warehouse, line: bytes, reason: str
) -> None:
    good = json.dumps(VOTE).encode()
    path = tmp_path / "feedback.jsonl"
    path.write_bytes(b"\n".join([good, b"", line, json.dumps({**VOTE, "feedback_id": "b"}).encode()]))
    report = import_file(warehouse, path)
    assert report == IngestionReport(rows=3, accepted=2, quarantined={reason: 1})
    assert found(warehouse, "SELECT source, position, reason FROM feedback_quarantine") == [
        ("feedback.jsonl", 3, reason)
    ]
    assert import_file(warehouse, path) == IngestionReport(rows=3, duplicates=3)


@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n", b"\xef\xbb\xbf\n"])
def test_files_put_one_behind_the_other_may_each_have_a_byte_order_mark(
    tmp_path: Path, warehouse: Warehouse, between: bytes
) -> None:
    path = tmp_path / "feedback.jsonl"
    files = [json.dumps({**VOTE, "feedback_id": name}).encode("utf-8-sig") + b"\n" for name in "abc"]
    path.write_bytes(between.join(files))
    assert import_file(warehouse, path) == IngestionReport(rows=3, accepted=3)


def test_a_line_of_100_mb(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "big.jsonl"
    with path.open("wb") as file:
        file.write(json.dumps(VOTE).encode() + b'\n{"query": "')
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n' + json.dumps({**VOTE, "feedback_id": "b"}).encode())
    assert import_file(warehouse, path) == IngestionReport(rows=3, accepted=2, quarantined={"row_too_long": 1})


def test_a_byte_order_mark_is_no_text(tmp_path: Path, warehouse: Warehouse) -> None:
    for name, text in (("a", json.dumps(VOTE)), ("b", "query,response,rating\nq,r,5\n"), ("c", json.dumps([VOTE]))):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8-sig")
        assert_accounted(report := import_file(empty_warehouse(tmp_path / f"{name}.duckdb"), path))
        assert report.accepted == 1, name


def test_ragged_and_garbled_rows_of_a_csv(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(
        b'query,response,rating\nq,r,5\nq,r\nq,r,5,6\n\nq,\xff,5\n,r,5\nq,r\x00s,4\nq,"never closed,5\nq,r,5\n'
    )
    report = import_file(warehouse, path)
    assert_accounted(report)
    assert report.quarantined == {"invalid_utf8": 1, "missing_text": 1, "no_signal": 1, "ragged_row": 1}
    positions = found(warehouse, "SELECT position, reason FROM feedback_quarantine ORDER BY position")
    assert positions == [
        (3, "no_signal"),  # spreadsheets leave empty cells out at the end
        (4, "ragged_row"),
        (6, "invalid_utf8"),
        (7, "missing_text"),
    ]
    assert ('"never closed',) in found(warehouse, "SELECT response FROM feedback")


def broken(folder: Path, content: bytes) -> Path:
    path = folder / "broken"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"PK\x03\x04rest", "ZIP or spreadsheet"),
        (b"\xff\xfeq\x00", "UTF-16"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a PNG picture"),
        (b'[{"query": "q"}, {"query": ', "cannot be read as JSON"),
        (b'[{"query": "q"}, nonsense]', "cannot be read as JSON"),
        (gzip.compress(b'{"query": "q"}' * 1000, mtime=0)[:-12], "is damaged"),
        (b"\x1f\x8bnot gzip at all", "is damaged"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_error(
    tmp_path: Path, warehouse: Warehouse, content: bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        import_file(warehouse, broken(tmp_path, content))
    assert str(tmp_path / "broken") in str(error.value)
    assert found(warehouse, "SELECT count(*) FROM ingestions") == [(0,)]


def test_a_sqlite_file_cut_in_half(tmp_path: Path, warehouse: Warehouse) -> None:
    path = as_sqlite(tmp_path, votes(3_000))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"Restore the file from a backup|cannot be read as SQLite"):
        import_file(warehouse, path)
    assert found(warehouse, "SELECT count(*) FROM feedback") == [(0,)]


def test_a_missing_table_and_a_missing_file(tmp_path: Path, warehouse: Warehouse) -> None:
    sqlite = tmp_path / "x.db"
    with sqlite3.connect(sqlite) as connection:
        connection.execute("CREATE TABLE other (query, response)")
    with pytest.raises(InputError, match="neither a table"):
        import_file(warehouse, sqlite)
    with pytest.raises(InputError, match="is not a file"):
        import_file(warehouse, tmp_path / "none.csv")


@needs_naughty_strings
@pytest.mark.parametrize("layout", [Format.JSON_LINES, Format.JSON_ARRAY, Format.CSV, Format.SQLITE])
def test_naughty_strings_everywhere(layout: Format, tmp_path: Path, warehouse: Warehouse) -> None:
    naughty = json.loads(NAUGHTY_STRINGS.read_text(encoding="utf-8"))
    rows = [
        {"query": "q", "response": "r", "comment": "c", "rating": 5, column: text}
        for text in naughty
        for column in ("query", "response", "comment")
    ]
    report = import_file(warehouse, LAYOUTS[layout](tmp_path, rows))
    assert report.rows == len(rows)
    assert_accounted(report)
    assert set(report.quarantined) == {"missing_text"}
    assert report.accepted > len(rows) - 60


@needs_real_ratings
def test_the_real_ratings_import_completely(warehouse: Warehouse) -> None:
    assert import_file(warehouse, REAL_RATINGS) == IngestionReport(rows=6_468, accepted=6_468)
    assert import_file(warehouse, REAL_RATINGS) == IngestionReport(rows=6_468, duplicates=6_468)
    with warehouse.open() as connection:
        counts = ledger(connection)
        assert counts == {
            "rows_in": 2 * 6_468,
            "accepted": 6_468,
            "interactions": 6_468,
            "repaired": 23,  # line breaks in six, zero-width spaces or soft hyphens in seventeen
            "masked": 89,
            "quarantined": 0,
            "duplicates": 6_468,
        }
        assert masked_by_kind(connection) == {"email": 105}


def test_personal_data_is_masked_and_counted(tmp_path: Path, warehouse: Warehouse) -> None:
    row = {
        **VOTE,
        "query": "Meu CPF é 529.982.247-25, e o seu?",
        "response": "Ligue para (11) 98765-4321 ou ana@example.org.",
        "comment": "CEP 01310-100, CNPJ 11.222.333/0001-81, ana@example.org",
    }
    import_file(warehouse, json_lines(tmp_path / "x", [row, {**VOTE, "feedback_id": "b"}]))
    assert found(warehouse, "SELECT query, response, comment FROM feedback WHERE feedback_id = 'a'") == [
        ("Meu CPF é [CPF], e o seu?", "Ligue para [TELEFONE] ou [E-MAIL].", "CEP [CEP], CNPJ [CNPJ], [E-MAIL]")
    ]
    with warehouse.open() as connection:
        assert masked_by_kind(connection) == {"cep": 1, "cnpj": 1, "cpf": 1, "email": 2, "phone": 1}
        assert ledger(connection)["masked"] == 1


def test_no_id_of_a_person_is_kept(tmp_path: Path, warehouse: Warehouse) -> None:
    secret = "ana-maria-da-silva"
    rows = [
        {**VOTE, "user_id": secret, "session_id": secret},
        {**VOTE, "user_id": secret, "rating": 9, "session_id": secret},
        {"query": "q", "response": "r", "rating": 3, "user_id": secret},
    ]
    path = json_lines(tmp_path / "x", rows)
    path.write_bytes(
        path.read_bytes() + b'{"query": "\xff", "user_id": "' + secret.encode() + b'"}\n{"user_id": "' + secret.encode()
    )
    report = import_file(warehouse, path, scale="1-5")
    assert report.quarantined == {"invalid_json": 1, "invalid_rating": 1, "invalid_utf8": 1}
    everything = str([found(warehouse, f"FROM {table}") for table in ("feedback", "feedback_quarantine", "ingestions")])
    assert secret not in everything
    assert PSEUDONYMS.of(secret) in everything


def test_the_quarantine_can_be_judged_again(tmp_path: Path, warehouse: Warehouse) -> None:
    rows = [{**VOTE, "rating": "9/10"}, {**VOTE, "feedback_id": "b", "rating": "9/10"}, {"pergunta": "q"}]
    import_file(warehouse, json_lines(tmp_path / "x", rows), query="pergunta")
    assert found(warehouse, "SELECT count(*) FROM feedback_quarantine") == [(3,)]
    with warehouse.open() as connection:
        # Somebody mended one row, as an update of the rules would.
        connection.execute("""UPDATE feedback_quarantine SET raw = '{"feedback_id": "b", "query": "q", "response": "r",
            "rating": 3}' WHERE position = 2""")
    with warehouse.open() as connection:
        report = Ingestor(connection, preparer()).retry_quarantine()
    assert (report.rows, report.accepted, report.refused) == (3, 1, 2)
    assert found(warehouse, "SELECT feedback_id FROM feedback") == [("b",)]
    assert found(warehouse, "SELECT count(*) FROM feedback_quarantine") == [(2,)]
    with warehouse.open() as connection:
        counts = ledger(connection)
    assert counts["rows_in"] == counts["accepted"] + counts["quarantined"] + counts["duplicates"] == 3


def test_when_one_file_breaks_off_nothing_is_kept(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(votes(40_000))[:-20])
    with pytest.raises(InputError, match="cannot be read as JSON"):
        import_file(warehouse, path)
    assert found(warehouse, "SELECT count(*) FROM feedback") == [(0,)]


MESSY = st.one_of(st.none(), st.text(max_size=8), st.integers(-1, 6), st.floats(), st.booleans(), st.just([1]))
MESSY_ROW = st.dictionaries(
    st.sampled_from(["query", "response", "rating", "thumbs_up", "comment", "timestamp", "user_id", "feedback_id"])
    | st.sampled_from(["response_chosen", "response_rejected", "metadata", "verdict", "response_left"]),
    MESSY,
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(MESSY_ROW, max_size=12), garbage=st.binary(max_size=40), seed=st.integers(0, 1000))
@example(rows=[{"thumbs_up": 0}, {"thumbs_up": -1}], garbage=b"", seed=0)
def test_whatever_comes_is_accounted_for(rows: list[Row], garbage: bytes, seed: int) -> None:
    with TemporaryDirectory() as folder:
        lines = [json.dumps(row).encode("utf-8", "surrogatepass") for row in rows]
        lines.insert(random.Random(seed).randint(0, len(lines)), garbage)
        path = Path(folder) / "x.jsonl"
        good = (b'{"query": "q%d", "response": "r", "rating": 5}\n' % number for number in range(20))
        path.write_bytes(b"".join(good) + b"\n".join(lines))
        with path.open("rb") as file:
            assume(text_encoding(file) == UTF8)  # of another encoding the whole file is refused
        warehouse = empty_warehouse(Path(folder) / "x.duckdb")
        try:
            first = import_file(warehouse, path, scale="1-5")
        except InputError as refusal:
            if "so a 0 is no thumb down" not in str(refusal):
                raise
            # Its thumbs may mean two things, and nothing of it was imported.
            assert found(warehouse, "FROM feedback") == found(warehouse, "FROM feedback_quarantine") == []
            return
        second = import_file(warehouse, path, scale="1-5")
        shutil.copy(path, Path(folder) / "other name.jsonl")
        third = import_file(warehouse, Path(folder) / "other name.jsonl", scale="1-5")
        for report in (first, second, third):
            assert_accounted(report)
        assert first.accepted >= 1
        assert (second.accepted, second.refused, third.accepted, third.refused) == (0, 0, 0, 0)
        with warehouse.open() as connection:
            counts = ledger(connection)
            ratings = connection.execute("SELECT rating FROM feedback WHERE rating IS NOT NULL").fetchall()
        assert counts["rows_in"] == counts["accepted"] + counts["quarantined"] + counts["duplicates"]
        assert all(1 <= rating <= 5 and not math.isnan(rating) for (rating,) in ratings)
