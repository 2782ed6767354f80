"""What is different in a table of a SQLite file since it was last read: new rows, changed ones, rows that are gone.

Blocks of rows are compared by a digest of all they hold. Of a block that differs the rows are compared, each by a
digest of its own. So a million rows that stay as they are cost no more than reading them once.
"""

import hashlib
import marshal
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from galileu_pipeline.feedback.ingestion.sources.rows import RowBatch, batch_of_bytes
from galileu_pipeline.feedback.ingestion.sources.shapes import SourceTable
from galileu_pipeline.feedback.ingestion.sources.sqlite_rows import SqliteFeedback

BLOCK_ROWS = 1_000
_BATCH_BLOCKS = 10


@dataclass(frozen=True)
class Block:
    """Rows whose rowids agree but for the last three digits, as they were read. `digests` are in the order of
    `positions`."""

    signature: str
    positions: NDArray[np.int64]
    digests: NDArray[np.uint64]

    def differences(self, before: "Block | None") -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions of rows that are new or changed here, and of those that are changed or gone."""
        if before is None:
            return self.positions, np.empty(0, dtype=np.int64)
        here = dict(zip(self.positions.tolist(), self.digests.tolist(), strict=True))
        there = dict(zip(before.positions.tolist(), before.digests.tolist(), strict=True))
        fresh = [position for position, digest in here.items() if there.get(position) != digest]
        stale = [position for position, digest in there.items() if here.get(position) != digest]
        return np.array(fresh, dtype=np.int64), np.array(stale, dtype=np.int64)


@dataclass
class TableChanges:
    """The differences of a table, all of them of one moment.

    blocks: those that differ, by number; None for one that is gone.
    fresh: positions of rows to read. stale: positions whose earlier row is no longer there.
    unchanged: how many rows are as they were.
    last_given: the greatest rowid that SQLite ever gave, where the table keeps count (AUTOINCREMENT).
    """

    blocks: dict[int, Block | None] = field(default_factory=dict)
    fresh: list[NDArray[np.int64]] = field(default_factory=list)
    stale: list[NDArray[np.int64]] = field(default_factory=list)
    unchanged: int = 0
    last_given: int | None = None

    @property
    def stale_positions(self) -> NDArray[np.int64]:
        return np.concatenate([np.empty(0, dtype=np.int64), *self.stale])

    @property
    def changed(self) -> int:
        """How many rows are others than before at the same position."""
        fresh = np.concatenate([np.empty(0, dtype=np.int64), *self.fresh])
        return int(np.isin(self.stale_positions, fresh).sum())


def compare(
    source: SqliteFeedback, connection: sqlite3.Connection, table: SourceTable, before: Mapping[int, Block]
) -> TableChanges:
    """How the table differs from the blocks that were read `before`."""
    changes = TableChanges(last_given=source.last_given(connection, table))
    seen = set()
    for number, rows in _blocks(source, connection, table):
        seen.add(number)
        signature = _digest(rows, 8).hex()
        known = before.get(number)
        if known is not None and known.signature == signature:
            changes.unchanged += len(rows)
            continue
        block = Block(
            signature,
            np.array([row[0] for row in rows], dtype=np.int64),
            np.array([int.from_bytes(_digest(row, 4)) for row in rows], dtype=np.uint64),
        )
        fresh, stale = block.differences(known)
        changes.blocks[number] = block
        changes.fresh.append(fresh)
        changes.stale.append(stale)
        changes.unchanged += len(rows) - len(fresh)
    for number in before.keys() - seen:
        changes.blocks[number] = None
        changes.stale.append(before[number].positions)
    return changes


def fresh_rows(
    source: SqliteFeedback, connection: sqlite3.Connection, table: SourceTable, changes: TableChanges
) -> Iterator[RowBatch]:
    """The rows at the positions `changes.fresh`."""
    wanted = [positions for positions in changes.fresh if len(positions)]
    if not source.has_row_ids(table):
        ids = set(np.concatenate([np.empty(0, dtype=np.int64), *wanted]).tolist())
        counted = (item for item in source.counted_rows(connection, table) if item[0] in ids)
        while batch := list(islice(counted, _BATCH_BLOCKS * BLOCK_ROWS)):
            yield batch_of_bytes([position for position, _ in batch], [row for _, row in batch])
        return
    for start in range(0, len(wanted), _BATCH_BLOCKS):
        positions = np.concatenate(wanted[start : start + _BATCH_BLOCKS])
        ids = set(positions.tolist())
        rows = source.rows_between(connection, table, int(positions.min()), int(positions.max()))
        kept = [(position, row) for position, row in rows if position in ids]
        yield batch_of_bytes([position for position, _ in kept], [row for _, row in kept])


def _blocks(
    source: SqliteFeedback, connection: sqlite3.Connection, table: SourceTable
) -> Iterator[tuple[int, list[tuple[object, ...]]]]:
    """The rows of each block that has any, as SQLite holds them, the rowid first; without rowids they are counted."""
    if not source.has_row_ids(table):
        counted = source.counted_values(connection, table)
        for number, rows in groupby(counted, key=lambda row: cast(int, row[0]) // BLOCK_ROWS):
            yield number, list(rows)
        return
    first = source.first_position(connection, table)
    while first is not None:
        number = first // BLOCK_ROWS
        end = (number + 1) * BLOCK_ROWS
        yield number, source.values_between(connection, table, first, end - 1)
        first = source.first_position(connection, table, end)


def _digest(value: Any, size: int) -> bytes:
    # Short, so that a number masked elsewhere cannot be found out from it, yet a change is seen.
    # Version 2 of the format has no references, so that equal values are equal bytes.
    return hashlib.blake2b(marshal.dumps(value, 2), digest_size=size).digest()
