"""Rows on their way through the statements: how DuckDB sees them, a batch at a time."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from galileu_pipeline.feedback.ingestion.sources.rows import RowBatch

_CHUNK_ROWS = 2_048
Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """A batch on its way: `table` has the columns of parse_rows.sql; once prepared, its texts are fit to be judged."""

    raw: RowBatch
    table: pa.Table


class Feed:
    """A view in DuckDB of rows that change from batch to batch.

    Registering a new view for each batch would keep all of them in memory: a transaction holds on to what it drops.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._rows: pa.Table | None = None

    def put(self, rows: pa.Table) -> None:
        registered = self._rows is not None
        # In chunks: DuckDB scans as many of them at a time as it has threads.
        self._rows = pa.Table.from_batches(rows.to_batches(max_chunksize=_CHUNK_ROWS), schema=rows.schema)
        if not registered:
            self._connection.register(self._name, self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        assert self._rows is not None
        return self._rows.__arrow_c_stream__(requested_schema)


def layers(rows: pa.Table) -> Iterator[pa.Table]:
    """The rows in parts in none of which an id stands twice: first occurrences, second ones, and so on."""
    ids = rows["feedback_id"].combine_chunks().dictionary_encode()
    if len(ids.dictionary) == len(ids):
        yield rows
        return
    occurrence = np.empty(len(ids), dtype=np.int64)
    seen: Counter[int] = Counter()
    for row, identity in enumerate(ids.indices.to_pylist()):
        occurrence[row] = seen[identity]
        seen[identity] += 1
    for layer in range(int(occurrence.max()) + 1):
        yield rows.filter(pa.array(occurrence == layer))


def numbered(batch: RowBatch) -> pa.Table:
    """(ordinal, position, row) of a batch."""
    return pa.table({"ordinal": np.arange(len(batch.positions)), "position": batch.positions, "row": batch.rows})


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items, each made in another thread while the one before is in use."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
