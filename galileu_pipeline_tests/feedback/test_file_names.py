"""Files and folders of every name, and files that other programs hold."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import InputError, WarehouseBusyError
from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner
from galileu_pipeline.feedback.pairing.datasets import read_curated
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import empty_warehouse, import_file

pytestmark = pytest.mark.slow

NAMES = [
    b"x[1].json",
    b"x*.json",
    b"x?.json",
    b"[a-z].json",
    b"x{a,b}.json",
    b"votos n\xe3o.json",
    b"com espa\xc3\xa7o",
    b"-x",
    b"a'b\"c",
]
LAYOUTS = {
    "array": '[{"query": "%s", "response": "r", "rating": 5}]',
    "objects": '{"query": "%s",\n "response": "r", "rating": 5}\n{"query": "q2", "response": "r", "rating": 5}',
    "lines": '{"query": "%s", "response": "r", "rating": 5}\n',
    "csv": "query,response,rating\n%s,r,5\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", NAMES)
def test_the_named_file_is_read_and_no_other(name: bytes, layout: str, tmp_path: Path, warehouse: Warehouse) -> None:
    for other in (b"x1.json", b"xa.json", b"a.json"):
        (tmp_path / os.fsdecode(other)).write_text(LAYOUTS[layout] % "of another file", encoding="utf-8")
    path = tmp_path / os.fsdecode(name)
    path.write_text(LAYOUTS[layout] % "of this file", encoding="utf-8")
    import_file(warehouse, path)
    with warehouse.open() as connection:
        queries = {query for (query,) in connection.execute("SELECT query FROM feedback").fetchall()}
    assert queries - {"q2"} == {"of this file"}


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_file_is_named_so_that_it_can_be_shown(name: bytes, tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / os.fsdecode(name)
    for content in (b"", b"%PDF-1.4", b'[{"query": ', b"a,b\n", b'{"query": "\xff"}\n', b"SQLite format 3\x00"):
        path.write_bytes(content)
        try:
            import_file(warehouse, path)
        except InputError as error:
            message = str(error)
        assert message.encode()


@pytest.mark.parametrize("name", [b"a?b", b"a*b", b"a[1]b", b"n\xe3o"])
def test_a_data_folder_that_duckdb_cannot_be_told(name: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALILEU_DATA_DIR", str(tmp_path / os.fsdecode(name)))
    with pytest.raises(InputError, match="GALILEU_DATA_DIR") as error:
        DataFolder.from_environment()
    assert str(error.value).encode()


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_separators_within_hand_written_examples(sign: str, tmp_path: Path) -> None:
    rows = [{"prompt": f"a{sign}b", "completion": f"c{sign}d"}] * 2
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "x.jsonl").write_text(text + "\r\n", encoding="utf-8")
    examples = read_curated(tmp_path, TextCleaner(repair=False))
    assert [example.prompt for example in examples] == [f"a{sign}b"] * 2


HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_warehouse_that_another_program_holds_is_busy(tmp_path: Path) -> None:
    warehouse = empty_warehouse(tmp_path / "x.duckdb")
    with warehouse.open():
        pass
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(warehouse.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(WarehouseBusyError, match="busy"), warehouse.open():
            pass
        with pytest.raises(WarehouseBusyError, match="busy"):
            warehouse.rewrite()
    finally:
        holder.communicate()
    with warehouse.open() as connection:
        assert connection.execute("SELECT count(*) FROM feedback").fetchall() == [(0,)]


def test_other_faults_of_a_warehouse_are_not_called_busy(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    path.write_text("no database at all " * 1000)
    with pytest.raises(duckdb.IOException, match="not a valid DuckDB"), Warehouse(path).open():
        pass
