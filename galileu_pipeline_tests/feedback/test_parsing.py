"""What the plans of `parse_rows.sql` that are kept must not mix up."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from galileu_pipeline.feedback.ingestion import parsing
from galileu_pipeline.feedback.ingestion.parsing import row_parser
from galileu_pipeline.feedback.ingestion.scale import FIVE_STARS, Scale
from galileu_pipeline.feedback.ingestion.sources.rows import RowBatch
from galileu_pipeline.feedback.statements import with_constants


def batch(*rows: str) -> RowBatch:
    return RowBatch(pa.array(range(len(rows)), pa.int64()), pa.array(rows, pa.large_string()))


def parsed(row: str, paths: dict[str, str] | None = None, scale: Scale = FIVE_STARS, secret: str = "a") -> pa.Table:
    with row_parser(paths or {}, scale) as parser:
        return parser.parse(batch(row), secret)


ROW = '{"query": "Quem é?", "response": "Galileu", "nota": 8, "rating": 4}'
NOTA = {"rating": "$.nota"}


def test_by_turns_each_way_gives_what_it_gave_alone() -> None:
    for _ in range(2):
        assert parsed(ROW)["rating"].to_pylist() == [4]
        assert parsed(ROW, NOTA)["rating"].to_pylist() == [None]
        assert parsed(ROW, NOTA, Scale.parse("0-10"))["rating"].to_pylist() == [pytest.approx(4.2)]
        assert parsed(ROW, NOTA, Scale.parse("10-0"))["rating"].to_pylist() == [pytest.approx(1.8)]


def test_the_secret_is_that_of_the_call() -> None:
    digests = [parsed(ROW, secret=secret)["content"].to_pylist() for secret in ("a", "b", "a")]
    assert digests[0] == digests[2] != digests[1]


def test_a_plan_that_is_kept_knows_what_time_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    row = '{"query": "Quem é?", "response": "Galileu", "rating": 4, "timestamp": "2026-11-26T00:00:00Z"}'
    times = []
    for year in (2025, 2027, 2025):
        monkeypatch.setattr(parsing, "latest", lambda year=year: datetime(year, 1, 1, tzinfo=UTC))
        times += parsed(row)["occurred_at"].to_pylist()
    assert times == [None, datetime(2026, 11, 26), None]


def test_a_quote_in_the_name_of_a_field_is_part_of_the_name() -> None:
    row = """{"query": "Quem é?", "response": "Galileu", "it's": 3}"""
    assert parsed(row, {"rating": """$."it's\""""})["rating"].to_pylist() == [3]


def test_an_idle_parser_keeps_no_rows_and_few_are_kept() -> None:
    for worst in range(20):
        assert parsed(ROW, scale=Scale(worst, 30)).num_rows == 1
    assert len(parsing._idle) == parsing._MOST_IDLE
    for parser in parsing._idle:
        assert parser._connection.execute("SELECT count(*) FROM raw_rows").fetchall() == [(0,)]


def test_after_an_error_a_parser_is_not_used_again() -> None:
    with pytest.raises(ValueError, match="x"), row_parser({}, FIVE_STARS) as parser:
        raise ValueError("x")
    assert parser not in parsing._idle


def test_threads_have_parsers_of_their_own() -> None:
    def read(number: int) -> list[str]:
        answers = []
        for turn in range(5):
            text = f"{number}-{turn}"
            row = f'{{"query": "Quem é?", "response": "{text}", "rating": 4}}'
            answers.append(parsed(row)["response"].to_pylist() == [text])
        return answers

    with ThreadPoolExecutor(4) as pool:
        assert all(all(answers) for answers in pool.map(read, range(8)))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (True, "True"),
        (3, "3"),
        (0.1, "'0.1'::DOUBLE"),
        ("it's", "'it''s'"),
        (("a", "b"), "['a', 'b']"),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), "TIMESTAMP '2026-01-02 03:00:00'"),
    ],
)
def test_constants_as_duckdb_writes_them(value: object, written: str) -> None:
    assert with_constants("SELECT getvariable('x')", {"x": value}) == f"SELECT {written}"
