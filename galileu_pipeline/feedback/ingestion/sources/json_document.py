"""JSON that is not lines: one array of objects, or objects that span lines. DuckDB's reader streams it."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from galileu_pipeline.database import connect
from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.sources.rows import BATCH_ROWS, MAX_ROW_BYTES, RowBatch
from galileu_pipeline.feedback.statements import sql

_END_BYTES = 65_536


def read_json_document(path: Path, layout: str) -> Iterator[RowBatch]:
    """The objects of the file; positions count them from 1.

    Args:
        path: of a name in which nothing is a pattern to DuckDB.
        layout: `array` or `unstructured`, as DuckDB calls them.

    Raises:
        InputError: the document breaks off or is not JSON; says at which object.
    """
    if layout == "array" and not _ends_with_bracket(path):
        raise InputError("cannot be read as JSON: it breaks off; the list has no end")
    with connect(memory_limit="512MB") as connection:
        connection.execute("SET allowed_paths = [$path]", {"path": str(path)})
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        parameters = {"path": str(path), "layout": layout, "max_bytes": MAX_ROW_BYTES}
        position = 1
        try:
            for batch in connection.sql(sql("ingestion/read_json_objects"), params=parameters).to_arrow_reader(
                BATCH_ROWS
            ):
                positions = pa.array(range(position, position + batch.num_rows), pa.int64())
                yield RowBatch(positions, batch.column(0))
                position += batch.num_rows
        except (duckdb.Error, OSError, pa.ArrowException) as error:
            raise InputError(f"cannot be read as JSON: {_without_path(error, path)}") from error


def _ends_with_bracket(path: Path) -> bool:
    with path.open("rb") as file:
        place = file.seek(0, 2)
        while place:
            place = max(0, place - _END_BYTES)
            file.seek(place)
            if end := file.read(_END_BYTES).rstrip():
                return end.endswith(b"]")
    return False


def _without_path(error: Exception, path: Path) -> str:
    first_line = str(error).strip().splitlines()[0]
    if "UTF-8" in first_line:
        first_line += " Save the file as UTF-8."
    return first_line.replace(f' in file "{path}"', "").removeprefix("Invalid Input Error: ").removeprefix("IO Error: ")
