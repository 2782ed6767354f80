"""Files as spreadsheets, archivers and other programs leave them."""

import bz2
import gzip
import io
import json
import lzma
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.imports import import_file as import_with_summary
from galileu_pipeline.feedback.ingestion.ingestor import Ingestor
from galileu_pipeline.feedback.ingestion.sources.encoding import UTF8, WINDOWS_1252, text_encoding
from galileu_pipeline.feedback.ingestion.sources.files import FeedbackFile
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import import_file, preparer
from galileu_pipeline_tests.feedback.test_imports import found

pytestmark = pytest.mark.slow


def accepted(warehouse: Warehouse, columns: str = "query, response, rating") -> list[tuple[object, ...]]:
    with warehouse.open() as connection:
        return connection.execute(f"SELECT {columns} FROM feedback ORDER BY position").fetchall()


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nquery;response;rating\nq;r;4\n",
        "query;response;rating;;;\nq;r;4;;;\n",
        "query;response;rating;comment;user_id\nq;r;4\n",
        'query;response;"rating";"obs, com vírgula"\nq;r;4;x\n',
        'query;response;rating;"observação\nlivre"\nq;r;4;x\n',
        "query\tresponse\trating\nq\tr\t4\n",
        ",query,response,rating\n0,q,r,4\n",
        "query;response;rating\r\n;;\r\nq;r;4\r\n;;\r\n",
        "query;response;rating\rq;r;4\r",
        "\ufeffsep=;\r\nquery;response;rating\r\nq;r;4\r\n",
    ],
)
def test_what_spreadsheets_write(text: str, tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode())
    report = import_file(warehouse, path)
    assert (report.rows, report.accepted) == (1, 1)
    assert accepted(warehouse) == [("q", "r", 4)]


@pytest.mark.parametrize("filled", [["a", "b", "5", "x"], ["a", "b", "5", "", "x"]])
def test_more_cells_than_names(filled: list[str], tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.csv"
    path.write_text("query;response;rating;;\n" + ";".join(filled) + "\n")
    assert import_file(warehouse, path).quarantined == {"ragged_row": 1}


@pytest.mark.parametrize("field", ["query", "response", "response_chosen", "response_rejected", "response_left"])
@pytest.mark.parametrize("cell", ["#NAME?", "#NOME?", "#VALOR!", "#REF!", "#N/A", " #N/D ", "#DIV/0!", "#ERROR!"])
def test_a_cell_that_a_spreadsheet_could_not_work_out(
    field: str, cell: str, tmp_path: Path, warehouse: Warehouse
) -> None:
    names = ["query", "response_left", "response_right", "verdict"]
    if field in ("query", "response"):
        names = ["query", "response", "rating"]
    elif field != "response_left":
        names = ["query", "response_chosen", "response_rejected"]
    values = {"query": "q", "response": "r", "rating": "5", "response_left": "a", "response_right": "b"}
    values |= {"response_chosen": "c", "response_rejected": "d", "verdict": "left"}
    path = tmp_path / "x.csv"
    path.write_text(",".join(names) + "\n" + ",".join(values[name] for name in names) + "\n")
    whole = import_file(warehouse, path)
    assert whole.accepted == 1
    path.write_text(",".join(names) + "\n" + ",".join((values | {field: cell})[name] for name in names) + "\n")
    assert import_file(warehouse, path).quarantined == {"missing_text": 1}


def test_a_text_about_an_error_is_a_text(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.csv"
    path.write_text("query,response,rating\nO que é #REF!?,Um erro: #REF!,5\n", encoding="utf-8")
    assert import_file(warehouse, path).accepted == 1


@pytest.mark.parametrize("again", ["{header}", "\ufeff{header}", "{header},,", " {header} "])
@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("query,response,comment", ["q,r,c", "q2,r,c"]),
        ("query,response_chosen,response_rejected", ["q,a,b", "q2,a,b"]),
        ("n,query,response,rating", ["1,q,r,5", "2,q2,r,5"]),
    ],
)
def test_files_put_one_behind_the_other(
    again: str, header: str, rows: list[str], tmp_path: Path, warehouse: Warehouse
) -> None:
    path = tmp_path / "x.csv"
    lines = [header, rows[0], again.format(header=header), rows[1]]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    report = import_file(warehouse, path)
    assert (report.rows, report.accepted) == (2, 2)


PORTUGUESE = "query;response;comment\nQuem é você?;“Sou” Galileu – físico;Não é ótimo? Ação, maçã, À toa…\n"


@pytest.mark.parametrize(
    "text",
    [
        PORTUGUESE,
        "query,response,rating\nOlá,Não,5\n",
        "query,response,rating\n¿Qué?,Señor,5\n",
        "query,response,rating\nWie heißt du?,Über,5\n",
        "query,response,rating\nça va?,œuvre à 10 €,5\n",
    ],
)
def test_windows_1252_is_read_as_such(text: str, tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode("cp1252"))
    with warehouse.open() as connection:
        report = import_with_summary(Ingestor(connection, preparer()), FeedbackFile.recognise(path), {}, None)
    assert (report.accepted, report.refused) == (1, 0)
    assert report.summary.encoding == WINDOWS_1252
    assert "not UTF-8: read as Windows-1252" in report.summary.notes()
    assert accepted(warehouse, "query")[0][0] == text.splitlines()[1].replace(";", ",").split(",")[0]


RECORDS = [{"query": f"Olá, nº {number}?", "response": "Não é ótimo…", "rating": 5} for number in range(3)]
LAYOUTS = {
    "lines": lambda records: "\n".join(json.dumps(record, ensure_ascii=False) for record in records),
    "array": lambda records: json.dumps(records, ensure_ascii=False),
    "objects": lambda records: "\n".join(json.dumps(record, ensure_ascii=False, indent=1) for record in records),
    "wrapped": lambda records: json.dumps({"data": records}, ensure_ascii=False),
    "packed": lambda records: json.dumps(records, ensure_ascii=False, indent=1),
}


def json_file(folder: Path, layout: str, encoding: str) -> Path:
    content = LAYOUTS[layout](RECORDS).encode(encoding, "ignore")
    path = folder / "x.json"
    path.write_bytes(gzip.compress(content) if layout == "packed" else content)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_windows_1252_is_read_as_such_in_json_too(layout: str, tmp_path: Path, warehouse: Warehouse) -> None:
    assert import_file(warehouse, json_file(tmp_path, layout, "cp1252")).accepted == 3
    assert accepted(warehouse) == [(f"Olá, nº {number}?", "Não é ótimo…", 5) for number in range(3)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_encoding_is_refused_as_one_file(layout: str, tmp_path: Path, warehouse: Warehouse) -> None:
    with pytest.raises(InputError, match=r"x\.json: .*[Ss]ave (it|the file) as UTF-8") as error:
        import_file(warehouse, json_file(tmp_path, layout, "cp850"))
    assert "galileu-import" not in str(error.value)
    assert accepted(warehouse) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", UTF8),
        (b"plain ASCII", UTF8),
        ("ação".encode(), UTF8),
        ("ação".encode("cp1252"), WINDOWS_1252),
        (("a" * (1 << 20) + "\n" + "é" * 10).encode("cp1252"), WINDOWS_1252),
        (("é" * (1 << 20)).encode(), UTF8),
        ("é\n".encode() * 50 + b"\xe9\n", UTF8),  # one broken line among good ones
        ("é\n".encode() + "é\n".encode("cp1252") * 50, WINDOWS_1252),
        (b"only damage \xff", UTF8),
        (b"q,r,5\n" * 300 + b"q\xff,r,5\n" * 2, UTF8),  # two broken ones among many
        ("ação é não".encode("mac-roman"), None),
        ("ação é não\n".encode("cp850") * 9, None),
        (("você: q\nq: é\n" * 9 + "q\n" * 200).encode("cp850"), None),
        ("Ж".encode("cp1251") * 9, WINDOWS_1252),
    ],
)
def test_the_encoding_is_judged_for_the_whole_file(content: bytes, expected: str | None) -> None:
    assert text_encoding(io.BytesIO(content)) == expected


class Lineless(io.BytesIO):
    """A file that is one line, which must never be held as a whole."""

    def readline(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("a line was asked for")


@pytest.mark.parametrize("letter", ["é", "€", "🌞"])
@pytest.mark.parametrize("shift", range(4))
def test_letters_at_the_end_of_a_piece_are_whole(letter: str, shift: int) -> None:
    text = ("a" * shift + letter * (1 << 20)).encode()
    assert text_encoding(Lineless(text)) == UTF8
    assert text_encoding(Lineless(text[:-1])) == UTF8  # only its last letter is broken
    assert text_encoding(Lineless(b"a" * shift + "é".encode("cp1252") * (1 << 21))) == WINDOWS_1252


def zipped(*names: str) -> Callable[[bytes], bytes]:
    def pack(content: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, content)
        return file.getvalue()

    return pack


def zstandard(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


def lz4(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="lz4", asbytes=True))


JSON_ROWS = b'{"query": "q", "response": "r", "rating": 4}\n'


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, zstandard, lz4, zipped("a.csv"), zipped("__MACOSX/._a", "a")]
)
@pytest.mark.parametrize(
    "content",
    [
        JSON_ROWS,
        b"[" + JSON_ROWS + b"]",
        b'{"data": [' + JSON_ROWS + b"]}",
        b"query,response,rating\nq,r,4\n",
        b"\xef\xbb\xbfquery,response,rating\nq,r,4\n",
    ],
)
def test_compressed_files_are_read(
    content: bytes, pack: Callable[[bytes], bytes], tmp_path: Path, warehouse: Warehouse
) -> None:
    path = tmp_path / "whatever"
    path.write_bytes(pack(content))
    assert FeedbackFile.recognise(path).compressed
    assert import_file(warehouse, path).accepted == 1
    assert accepted(warehouse) == [("q", "r", 4)]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard, zipped("a")])
def test_compressed_files_cut_off(pack: Callable[[bytes], bytes], tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "whatever"
    path.write_bytes(pack(JSON_ROWS * 20_000)[:-40])
    with pytest.raises(InputError, match="damaged"):
        import_file(warehouse, path)
    assert accepted(warehouse) == []


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x1f\x9d\x90rest", r"`compress`"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "7z"),
        (b"Rar!\x1a\x07\x01\x00", "RAR"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Office file"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"ARROW1\x00\x00", "Arrow"),
        (b"Obj\x01\x04", "Avro"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "PNG"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "JPEG"),
        (b"\x7fELF\x02\x01\x01", "program"),
        (bytes(8) + b"DUCK" + bytes(50), "DuckDB"),
        (b"\x80\x04\x95\x10\x00", "pickle"),
        ("query,response\nq,r\n".encode("utf-16"), "UTF-16"),
        ("query,response\nq,r\n".encode("utf-16-le"), "UTF-16"),
        (struct.pack("<50i", *range(50, 100)) + bytes(9), "binary"),
        (bytes(range(256)) * 4, "binary"),
        (gzip.compress(gzip.compress(JSON_ROWS)), "compressed twice"),
        (gzip.compress(b"%PDF-1.7"), "PDF"),
        (gzip.compress(b"a.csv".ljust(257, b"\x00") + b"ustar\x0000"), "tar archive"),
        (zipped("[Content_Types].xml", "xl/workbook.xml")(b"<x/>"), "spreadsheet"),
        (zipped("mimetype", "content.xml")(b"<x/>"), "spreadsheet"),
        (zipped("a.csv", "b.csv")(JSON_ROWS), "2 files"),
        (zipped()(b""), "empty ZIP"),
    ],
)
def test_what_cannot_be_read_is_called_by_its_name(
    content: bytes, name: str, tmp_path: Path, warehouse: Warehouse
) -> None:
    path = tmp_path / "whatever.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=name) as error:
        import_file(warehouse, path)
    assert str(error.value).isprintable()
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "content",
    [b"\x1b[31mred,a\x07b\nx,y\n", b"caf\xe9\x81,b\n1,2\n", b"a\x00b,c\n1,2\n", b"\x1f\x8b\x08\x00\x01", b"{\x01\x02"],
)
def test_no_raw_bytes_are_shown(content: bytes, tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    shown = "imported"
    try:
        import_file(warehouse, path)
    except InputError as error:
        shown = str(error)
    assert shown.isprintable()
    with warehouse.open() as connection:
        details = connection.execute("SELECT detail FROM feedback_quarantine").fetchall()
    assert all(detail.isprintable() for (detail,) in details)


@pytest.mark.parametrize(
    "lines",
    [
        ['"rating","query","response","comment"', '"1",5,"q1","r1",""', '"2",1,"q2","r2",""'],  # R's row numbers
        ['"rating","query","response","comment"', '"1",5,"q1","r1","c"'],
        ['"id","query","response","rating"', '"1","q1","r1",4,5', '"2","q2","r2",3,5'],  # decimal commas
    ],
)
def test_rows_of_one_cell_more_than_the_header_are_refused_as_one(
    lines: list[str], tmp_path: Path, warehouse: Warehouse
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="one cell more"):
        import_file(warehouse, path)


@pytest.mark.parametrize(
    ("lines", "accepted"),
    [
        (['"rating","query","response","comment"', '"1","q1","r1","c"', '"2","q2","r2",""'], 2),
        (['"rating","query","response","comment"', '"1","q1","r1","c",', '"2","q2","r2","",'], 2),
        (["id,query,response,rating,", '"1","q1","r1",5,4', '"2","q2","r2",1,4'], 0),
    ],
)
def test_numbers_of_rows_are_not_guessed(lines: list[str], accepted: int, tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert import_file(warehouse, path).accepted == accepted
    expected = [("q1", "r1", 1), ("q2", "r2", 2)][:accepted]
    assert found(warehouse, "SELECT query, response, rating FROM feedback ORDER BY query") == expected
