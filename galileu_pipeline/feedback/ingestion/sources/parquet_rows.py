"""Parquet, as `galileu export` and data frames write it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from galileu_pipeline.database import in_memory
from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.sources.rows import BATCH_ROWS, RowBatch
from galileu_pipeline.feedback.statements import sql


def parquet_columns(path: Path) -> list[str]:
    """The names of its columns.

    Raises:
        InputError: it cannot be read as Parquet.
    """
    try:
        return pq.read_schema(path).names
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot be read as Parquet: {error}") from error


def first_record(path: Path) -> dict[str, Any]:
    """The first row; empty where there is none.

    Raises:
        InputError: it cannot be read as Parquet.
    """
    batch = next(read_parquet(path, batch_rows=1), None)
    return json.loads(batch.rows[0].as_py()) if batch else {}


def read_parquet(path: Path, batch_rows: int = BATCH_ROWS) -> Iterator[RowBatch]:
    """The rows as JSON objects; positions count them from 1.

    Raises:
        InputError: it cannot be read as Parquet.
    """
    position = 1
    try:
        with pq.ParquetFile(path) as file, in_memory() as connection:
            for batch in file.iter_batches(batch_rows):
                connection.register("parquet_rows", _with_texts(batch))
                rows = connection.sql(sql("ingestion/select_parquet_rows")).to_arrow_table()
                positions = pa.array(range(position, position + batch.num_rows), pa.int64())
                yield RowBatch(positions, rows["row"].combine_chunks())
                position += batch.num_rows
    except (OSError, pa.ArrowException, duckdb.Error) as error:
        raise InputError(f"cannot be read as Parquet: {error}") from error


def _with_texts(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows, bytes as the texts that they are: some writers do not mark them as such.

    Raises:
        InputError: they are not UTF-8.
    """
    for place, column in enumerate(batch.schema):
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            try:
                batch = batch.set_column(place, column.name, batch.column(place).cast(pa.string()))
            except pa.ArrowInvalid as error:
                raise InputError(f"the column {column.name} holds bytes that are not UTF-8, and so no text") from error
    return batch
