"""Every line of a CSV file is accounted for, whatever its quotation marks open."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.sources.csv_records import LineReader, RecordReader
from galileu_pipeline.feedback.ingestion.sources.csv_rows import read_header
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import import_file

pytestmark = pytest.mark.slow


def accepted(warehouse: Warehouse) -> list[tuple[str, str, float]]:
    with warehouse.open() as connection:
        return connection.execute("SELECT query, response, rating FROM feedback ORDER BY position").fetchall()


@pytest.mark.parametrize("delimiter", ["\t", ";", ",", "|"])
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        # A mark that opens, and one at the end of a cell some rows later: a plain reader reads one row.
        ([('"Quem é', "r1", 1), ("b", "r2", 5), ('tela de 15"', "r3", 3)], None),
        ([('"Quem é', "r1", 1), ("b", "r2", 5), ("c", "r3", 3)], None),
        ([("a", '"r1', 1), ("b", '"r2', 5), ("c", "r3", 3)], None),
        ([('"', "r1", 1), ("b", '"', 5)], None),
        ([('"Olá" disse ele', "r1", 1), ("b", "r2", 5)], None),
        ([("a", '"sim" ou "não"', 1), ("b", 'ele disse "sim"', 5)], None),
        ([('"inteira"', "r1", 1)], [("inteira", "r1", 1)]),
        ([('"aspas ""dentro"""', "r1", 1)], [('aspas "dentro"', "r1", 1)]),
    ],
)
def test_a_mark_that_quotes_nothing_swallows_no_row(
    cells: list[tuple[str, str, int]],
    expected: list[tuple[str, str, int]] | None,
    delimiter: str,
    tmp_path: Path,
    warehouse: Warehouse,
) -> None:
    path = tmp_path / "x.tsv"
    rows = [("query", "response", "rating"), *cells]
    path.write_text("\n".join(delimiter.join(map(str, row)) for row in rows), encoding="utf-8")
    report = import_file(warehouse, path)
    assert (report.rows, report.accepted) == (len(cells), len(cells))
    assert accepted(warehouse) == (expected or cells)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (r'"Diga \"sim\", \"não\"",A,5,', ('Diga "sim", "não"', "A", 5)),
        (r'"Diga \"sim\"",A,5,', ('Diga "sim"', "A", 5)),
        (r'q,"\"sim\"",5,c', ("q", '"sim"', 5)),
    ],
)
def test_backslashes_before_quotation_marks(
    line: str, expected: tuple[str, str, float], tmp_path: Path, warehouse: Warehouse
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"query,response,rating,comment\n{line}\nq2,r2,1,\n", encoding="utf-8")
    import_file(warehouse, path)
    assert accepted(warehouse) == [expected, ("q2", "r2", 1)]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("timestamp", "2026-03-10 22:30 UTC"),
        ("timestamp", "24/10/2026, 07:30:15"),
        ("timestamp", "24/10/2026 às 07:30"),
        ("timestamp", "Sat, 24 Oct 2026 10:30:00 GMT"),
        ("timestamp", "Sat Oct 24 2026 07:30:15 GMT-0300 (Horário Padrão de Brasília)"),
        ("thumbs_up", "thumbs_down"),
        ("thumbs_up", "👎"),
    ],
)
def test_a_mark_swallows_no_row_whatever_the_other_cells_look_like(
    column: str, cell: str, tmp_path: Path, warehouse: Warehouse
) -> None:
    path = tmp_path / "x.tsv"
    cells = [('"Quem é', "r1", 1, cell), ("b", "r2", 5, cell), ('tela de 15"', "r3", 3, cell)]
    rows = [("query", "response", "rating", column), *cells]
    path.write_text("\n".join("\t".join(map(str, row)) for row in rows), encoding="utf-8")
    assert import_file(warehouse, path).accepted == 3
    assert accepted(warehouse) == [row[:3] for row in cells]


@pytest.mark.parametrize("delimiter", ["\t", ";", ","])
@pytest.mark.parametrize(
    "text",
    [
        "duas\nlinhas",
        "Primeiro, segundo, terceiro\nfim",
        "um; dois; três\nquatro; cinco",
        'com "aspas"\ne mais',
        "código:\n\n\tif x:\n\t\treturn 1, 2",
        "\n começa e acaba vazio\n",
        "a,b,5\nc,d,1",
    ],
)
def test_what_is_quoted_over_several_lines_stays_one_text(
    text: str, delimiter: str, tmp_path: Path, warehouse: Warehouse
) -> None:
    path = tmp_path / "x.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([("rating", "query", "response"), (5, text, "r"), (1, "q", text)])
    assert import_file(warehouse, path).accepted == 2
    assert accepted(warehouse) == [(text.rstrip(), "r", 5), ("q", text.rstrip(), 1)]


def test_text_of_several_lines_beside_no_rating(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.csv"
    path.write_text('query,response_chosen,response_rejected\nQ?,"Linha um, algo\nlinha dois, fim",ruim\n')
    assert import_file(warehouse, path).accepted == 1


@pytest.mark.parametrize(
    ("lines", "rows", "kept"),
    [
        # Half of a text is never taken for the whole.
        (['"Ele disse "oi" e', 'foi embora",r,5', "q,r,3"], 3, ["q"]),
        (['"aberta', "meio", 'fim",r,5', "q,r,3"], 2, ["aberta\nmeio\nfim", "q"]),
        (['"aberta e "solta"', "meio", 'fim",r,5', "q,r,3"], 4, ["q"]),
        (['"aberta', "q,r,3"], 2, ["q"]),
    ],
)
def test_lines_of_a_broken_quotation(
    lines: list[str], rows: int, kept: list[str], tmp_path: Path, warehouse: Warehouse
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["query,response,rating", *lines]), encoding="utf-8")
    report = import_file(warehouse, path)
    assert report.rows == rows == report.accepted + report.refused
    assert [query for query, _, _ in accepted(warehouse)] == kept


def test_a_mark_left_open_at_the_top_of_a_long_file(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.tsv"
    lines = ['"q\tr\t1', *(f"q{number}\tr\t5" for number in range(2_000))]
    path.write_text("\n".join(["query\tresponse\trating", *lines]), encoding="utf-8")
    assert import_file(warehouse, path).accepted == len(lines)


CELL = st.text(st.sampled_from('ab",;\t\n é'), max_size=6)


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(CELL, CELL, CELL), max_size=6), delimiter=st.sampled_from(",;\t"))
def test_good_csv_is_read_as_the_standard_library_reads_it(rows: list[tuple[str, str, str]], delimiter: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    file.seek(0)
    records = list(RecordReader(LineReader(file), delimiter, 3, lambda _: False))
    assert [tuple(record.cells) for record in records] == rows
    assert not any(record.fault for record in records)


LINE = st.lists(st.text(st.sampled_from('ab" '), max_size=5), min_size=3, max_size=3).map("\t".join)


@settings(max_examples=200, deadline=None)
@given(lines=st.lists(LINE, min_size=1, max_size=6))
def test_no_line_is_lost(lines: list[str]) -> None:
    """Every line is the beginning of a record, or part of one that a quotation holds together."""
    reader = RecordReader(LineReader(io.StringIO("\n".join(lines), newline="")), "\t", 3, lambda _: True)
    following = 1
    for record in reader:
        assert record.line == following
        following += 1 + sum(cell.count("\n") for cell in record.cells)
    assert following == len(lines) + 1


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("query;response;rating", ["query", "response", "rating"]),
        ("sep=;\nquery;response;rating", ["query", "response", "rating"]),
        ('"sep=\t"\nquery\tresponse\trating', ["query", "response", "rating"]),
        ("SEP=,\r\nquery,response,rating", ["query", "response", "rating"]),
        ("\n\nquery,response", ["query", "response"]),
        ("query;response;rating;;;", ["query", "response", "rating"]),
        (";query;response", ["", "query", "response"]),
        ('"query";"response";"nota, de 1, 2, 3, a 5"', ["query", "response", "nota, de 1, 2, 3, a 5"]),
        ("query;response;nota (1, 2, 3, 4, 5)", ["query", "response", "nota (1, 2, 3, 4, 5)"]),
        ('query,response,"a\nnota"', ["query", "response", "a nota"]),
        ("pergunta;resposta;nota (1, 2, 3, 4)\na;b;1\nc;d;2", ["pergunta", "resposta", "nota (1, 2, 3, 4)"]),
        (" query , response ", ["query", "response"]),
    ],
)
def test_headers_of_spreadsheets(head: str, names: list[str]) -> None:
    header = read_header(io.StringIO(head + "\n", newline=""))
    assert header.names == names


@pytest.mark.parametrize("head", ["", "\n\n", ";;;", '"never closed,a,b', "a,b,a"])
def test_what_is_no_header(head: str) -> None:
    with pytest.raises(InputError, match="not a CSV header"):
        read_header(io.StringIO(head, newline=""))


def test_a_text_whose_last_line_could_be_a_row_makes_no_vote(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.csv"
    text = 'rating,query,response\n5,Como faço um CSV?,"Assim:\nnome e idade\n1,ana,30"\n4,ok,ok\n'
    path.write_text(text, encoding="utf-8")
    report = import_file(warehouse, path)
    assert accepted(warehouse) == [("ok", "ok", 4.0)]
    assert report.quarantined == {"ragged_row": 1}
