"""Times are read the same on every machine, for certain or not at all."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galileu_pipeline.database import connect
from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback import times
from galileu_pipeline.feedback.analytics.analysis import analyse
from galileu_pipeline.feedback.collection.collector import FeedbackCollector
from galileu_pipeline.feedback.pairing.exports import ExportSettings, export
from galileu_pipeline.feedback.statements import sql, with_constants
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import PSEUDONYMS, empty_warehouse, import_file, ingest
from galileu_pipeline_tests.feedback.test_imports import VOTE, found, json_lines

pytestmark = pytest.mark.slow

ZONES = ["UTC", "America/Sao_Paulo", "America/New_York"]  # the last has daylight saving
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MACROS = with_constants(sql("ingestion/create_reading_macros"), {"earliest_time": times.EARLIEST})


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The machine's time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="module")
def reader() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect() as connection:
        connection.execute(MACROS)
        yield connection


def read(reader: duckdb.DuckDBPyConnection, text: str) -> str | None:
    latest = times.latest(NOW).replace(tzinfo=None)
    return reader.execute("SELECT time_of($text, $latest)::VARCHAR", {"text": text, "latest": latest}).fetchall()[0][0]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-10T22:30:00Z", "2026-03-10 22:30:00"),
        ("2026-03-10T22:30:00+03:00", "2026-03-10 19:30:00"),
        ("2026-03-10T22:30:00-0300", "2026-03-11 01:30:00"),
        ("2026-03-10T22:30:00-03", "2026-03-11 01:30:00"),
        ("2026-03-10 22:30:00 -03:00", "2026-03-11 01:30:00"),
        ("2026-03-10t22:30:00z", "2026-03-10 22:30:00"),
        ("2026-03-10 22:30:00 UTC", "2026-03-10 22:30:00"),
        ("2026-03-10 22:30:00.5", "2026-03-10 22:30:00.5"),
        ("2026-03-10 22:30:00,125", "2026-03-10 22:30:00.125"),
        ("2026-03-10T22:30:00.123456789Z", "2026-03-10 22:30:00.123456"),
        ("2026-03-10T22:30", "2026-03-10 22:30:00"),
        ("2026-03-10", "2026-03-10 00:00:00"),
        ("2026/03/10 22:30:00", "2026-03-10 22:30:00"),
        ("2026-03-08T02:30:00", "2026-03-08 02:30:00"),  # an hour that New York does not have
        ("24/11/2026 07:30", "2026-11-24 07:30:00"),
        ("24/11/2026, 07:30:15", "2026-11-24 07:30:15"),
        ("24/11/2026 às 07:30", "2026-11-24 07:30:00"),
        ("4/3/2026 7:05", "2026-03-04 07:05:00"),
        ("24.11.2026", "2026-11-24 00:00:00"),
        ("Tue, 24 Nov 2026 10:30:00 GMT", "2026-11-24 10:30:00"),
        ("Tue, 24 Nov 2026 10:30:00 +0100", "2026-11-24 09:30:00"),
        ("Tue Nov 24 2026 07:30:15 GMT-0300 (Horário Padrão de Brasília)", "2026-11-24 10:30:15"),
        ("20261124T103000Z", "2026-11-24 10:30:00"),
        ("20261124T103015", "2026-11-24 10:30:15"),
        ("20261124T1030", "2026-11-24 10:30:00"),
        ("20261124T103000-0300", "2026-11-24 13:30:00"),
        ("20261124", "2026-11-24 00:00:00"),
        ("202611241030", "2026-11-24 10:30:00"),
        ("20261124103000", "2026-11-24 10:30:00"),
        ("1764000000", "2025-11-24 16:00:00"),
        ("1764000000.25", "2025-11-24 16:00:00.25"),
        ("1764000000,25", "2025-11-24 16:00:00.25"),
        ("1764000000123", "2025-11-24 16:00:00.123"),
        ("1764000000123456", "2025-11-24 16:00:00.123456"),
        ("2001-01-01T00:00:00Z", "2001-01-01 00:00:00"),
        ("2026-11-26T11:59:59Z", "2026-11-26 11:59:59"),
    ],
)
def test_what_is_certain_is_read(reader: duckdb.DuckDBPyConnection, text: str, moment: str) -> None:
    assert read(reader, text) == moment


@pytest.mark.parametrize(
    "text",
    [
        *("24/11/26", "11/24/2026", "31/02/2026", "24/11/2026 07:30 PM", "24/11/2026 25:00", "24-11-2026"),
        *("2026", "46350", "46350.5", "0", "1", "-1", "1e9", "1.764E+12", "20261324", "20260230", "00000000"),
        *("99999999999999999999999999999999", "1764000000123456789", "-1764000000", "9" * 400),
        *("2026-13-01", "2026-02-30", "2026-W48", "2026-11", "2026-11-24T10", "2026-11-24T10:00:00-99:99"),
        *("20261124T10", "20261324T103000Z", "20261124T103", "20250230T1030", "20250229T000000Z"),
        *("20251124T103000-9900", "20251124T103000+0099", "20251124T10300", "20251124T103000Z1"),
        *("Mon, 31 Feb 2025 10:30:00 GMT", "Sat Feb 29 2025 10:30:00 GMT-0300 (x)", "Tue, 24 Nov 2025 25:30:00 GMT"),
        *("Mon, 24 Nov 2025 10:30:00 +9900", "Mon, 24 Nov 2025 10:30:00", "Mon, 24 Nox 2025 10:30:00 GMT"),
        *("12026-11-24", "0026-11-24", "2026-11-24 BC", "0044-03-15 BC", "+12026-11-24T00:00:00Z"),
        *("1970-01-01T00:00:00Z", "1899-12-30", "2000-12-31T23:59:59Z", "2026-11-26T12:00:01Z", "3026-01-01"),
        *("epoch", "infinity", "-infinity", "now", "today", "yesterday", "NaT", "Tue", "10:30:00", "x" * 10_000),
    ],
)
def test_what_is_not_certain_is_not(reader: duckdb.DuckDBPyConnection, text: str) -> None:
    assert read(reader, text) is None


@settings(max_examples=60, deadline=None)
@given(
    moment=st.datetimes(datetime(2001, 1, 1), datetime(2026, 11, 25), timezones=st.timezones()),
    layout=st.sampled_from(["iso", "seconds", "microseconds", "rfc"]),
)
def test_every_plausible_time_survives(reader: duckdb.DuckDBPyConnection, moment: datetime, layout: str) -> None:
    moment = moment.astimezone(UTC).replace(microsecond=0)
    if not times.EARLIEST <= moment <= NOW:
        return
    seconds = int(moment.timestamp())
    text = {
        "iso": moment.isoformat(),
        "seconds": str(seconds),
        "microseconds": str(seconds * 1_000_000),
        "rfc": moment.strftime("%a, %d %b %Y %H:%M:%S +0000"),
    }[layout]
    assert read(reader, text) == moment.replace(tzinfo=None).isoformat(" ")


def test_a_time_is_stored_in_utc_and_comes_back(zone: str, tmp_path: Path, warehouse: Warehouse) -> None:
    """Out and in again, as often as one likes."""
    path = json_lines(tmp_path / "x.jsonl", [{**VOTE, "timestamp": "2026-03-10T22:30:00Z"}])
    for turn in range(3):
        again = empty_warehouse(tmp_path / f"{turn}.duckdb")
        import_file(again, path)
        assert found(again, "SELECT occurred_at::VARCHAR FROM feedback") == [("2026-03-10 22:30:00",)], zone
        path = tmp_path / f"{turn}.csv"
        with again.open() as connection:
            export(connection, path, ExportSettings(kind="feedback"))


def dated(path: Path, *texts: str) -> Path:
    rows = [{**VOTE, "feedback_id": str(number), "timestamp": text} for number, text in enumerate(texts)]
    return json_lines(path, rows)


@pytest.mark.parametrize(
    "texts",
    [
        ("03/04/2026", "03/24/2026"),
        ("3/4/2026 10:00", "3/24/2026 10:00", "10/31/2025 9:05"),
        ("03/24/2026", "24/03/2026", "03/25/2026"),
    ],
)
def test_dates_with_the_month_first_are_refused_as_one(
    texts: tuple[str, ...], tmp_path: Path, warehouse: Warehouse
) -> None:
    path = dated(tmp_path / "x.jsonl", *texts)
    with pytest.raises(InputError, match=r"x\.jsonl: \d dates have the month first"):
        import_file(warehouse, path)
    assert found(warehouse, "SELECT count(*) FROM feedback") == [(0,)]


@pytest.mark.parametrize(
    ("texts", "accepted"),
    [
        (("03/04/2026", "12/04/2026"), 2),
        (("24/03/2026", "25/03/2026", "03/24/2026"), 2),
        (("24/03/2026", "03/24/2026"), 1),
        (("2026/03/24", "24.03.2026", "1764000000", "03/04/2026"), 4),
    ],
)
def test_dates_with_the_day_first(texts: tuple[str, ...], accepted: int, tmp_path: Path, warehouse: Warehouse) -> None:
    assert import_file(warehouse, dated(tmp_path / "x.jsonl", *texts)).accepted == accepted


def test_the_last_vote_is_the_same_in_every_zone(zone: str, tmp_path: Path, warehouse: Warehouse) -> None:
    rows = [
        {**VOTE, "feedback_id": "a", "rating": 1, "timestamp": "2026-03-10T22:30:00-03:00"},
        {**VOTE, "feedback_id": "b", "rating": 5, "timestamp": "2026-03-10T23:30:00"},
    ]
    import_file(warehouse, json_lines(tmp_path / "x.jsonl", rows))
    with warehouse.open() as connection:
        standing = {row.rating: row.ratings for row in analyse(connection).rating_distribution}
    assert standing == {1: 1, 2: 0, 3: 0, 4: 0, 5: 0}, zone


SCRIPT = """
import sys
from pathlib import Path
from galileu_pipeline_tests.feedback.conftest import import_file
from galileu_pipeline.feedback.warehouse import Warehouse

warehouse = Warehouse(Path(sys.argv[1]) / "x.duckdb")
import_file(warehouse, Path(sys.argv[2]))
with warehouse.open() as connection:
    for (moment,) in connection.execute("SELECT occurred_at::VARCHAR FROM feedback ORDER BY feedback_id").fetchall():
        print(moment)
    print(connection.execute("SELECT '2026-03-10T22:30:00Z'::TIMESTAMPTZ::TIMESTAMP::VARCHAR").fetchall()[0][0])
"""


@pytest.mark.parametrize("machine", ZONES)
def test_a_process_of_its_own_in_that_zone(machine: str, tmp_path: Path) -> None:
    """DuckDB asks for the zone once a process."""
    stamps = ["2026-03-10T22:30:00Z", "2026-07-10 22:30:00", "1764000000", "24/11/2026, 07:30:15"]
    rows = [{**VOTE, "feedback_id": str(number), "timestamp": stamp} for number, stamp in enumerate(stamps)]
    path = json_lines(tmp_path / "x.jsonl", rows)
    environment = {**os.environ, "TZ": machine}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path, path], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        *("2026-03-10 22:30:00", "2026-07-10 22:30:00", "2025-11-24 16:00:00", "2026-11-24 07:30:15"),
        "2026-03-10 22:30:00",
    ]


@pytest.mark.parametrize("ahead", [timedelta(days=2), timedelta(days=400), timedelta(days=365 * 5_000)])
def test_a_time_in_the_future_is_refused(ahead: timedelta, tmp_path: Path, warehouse: Warehouse) -> None:
    when = (datetime.now(UTC) + ahead).isoformat()
    rows = [{**VOTE, "timestamp": when}, {**VOTE, "feedback_id": "b"}]
    report = import_file(warehouse, json_lines(tmp_path / "x.jsonl", rows))
    assert (report.accepted, report.quarantined) == (1, {"invalid_timestamp": 1})


@pytest.mark.parametrize("when", ["12026-03-10", "0044-03-15 BC", "294247-01-10", "1000000000000000000", "5e20"])
def test_no_time_breaks_a_later_stage(when: str, tmp_path: Path, warehouse: Warehouse) -> None:
    rows = [VOTE, {**VOTE, "feedback_id": "b", "timestamp": when}]
    import_file(warehouse, json_lines(tmp_path / "x.jsonl", rows))
    with warehouse.open() as connection:
        analytics = analyse(connection)
        export(connection, tmp_path / "out.jsonl", ExportSettings(kind="feedback"))
    assert analytics.totals.votes == 1
    (line,) = (tmp_path / "out.jsonl").read_text().splitlines()
    assert json.loads(line)["timestamp"] == "2026-11-24T10:00:00.000000Z"


@pytest.mark.parametrize("when", [datetime(1970, 1, 1), datetime(3026, 1, 1), datetime(2000, 12, 31, tzinfo=UTC)])
def test_the_collector_takes_no_time_that_would_be_refused(when: datetime, tmp_path: Path) -> None:
    collector = FeedbackCollector(tmp_path / "feedback.db", PSEUDONYMS)
    with pytest.raises(InputError, match="nobody voted then"):
        collector.add_feedback("q", "r", rating=5, timestamp=when)


def test_the_collector_and_the_warehouse_agree_on_the_last_vote(tmp_path: Path, warehouse: Warehouse) -> None:
    collector = FeedbackCollector(tmp_path / "feedback.db", PSEUDONYMS)
    for rating, day in ((1, 3), (5, 9), (2, 6)):  # they come in another order than they were given
        collector.add_feedback("q", "r", rating=rating, user_id="ana", timestamp=datetime(2026, 8, day))
    assert collector.get_feedback_stats()["average_rating"] == 5
    ingest(warehouse, collector.path)
    assert found(warehouse, "SELECT rating FROM (SELECT * FROM feedback ORDER BY occurred_at DESC LIMIT 1)") == [(5.0,)]
