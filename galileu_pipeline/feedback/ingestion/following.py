"""A table of the chatbot's file over the times it is read: what was there last time, and what is gone now."""

from collections.abc import Collection

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galileu_pipeline.feedback.ingestion.batches import Feed
from galileu_pipeline.feedback.ingestion.sources.sqlite_changes import Block, TableChanges
from galileu_pipeline.feedback.statements import sql


class FollowedTable:
    """What the warehouse knows of a table: `begin` once it was compared, ingest its fresh rows, then `gone`, `end`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, source: str) -> None:
        self.source = source
        self._connection = connection
        self._stale_rows = Feed(connection, "stale_rows")
        self.blocks = {
            number: Block(signature, np.array(positions, dtype=np.int64), np.array(digests, dtype=np.uint64))
            for number, signature, positions, digests in connection.execute(
                sql("ingestion/select_source_blocks"), {"source": source}
            ).fetchall()
        }

    def begin(self, changes: TableChanges, ingestion: int) -> None:
        """Take note of the differences, before the ingestion of that number reads the fresh rows."""
        self.changes = changes
        self.ingestion = ingestion
        self._stale_rows.put(pa.table({"position": pa.array(changes.stale_positions)}))

    def taken(self, bases: Collection[str]) -> list[str]:
        """Ids made of content, of these first occurrences, that rows of the table have which are as they were."""
        parameters = {"source": self.source, "bases": list(bases)}
        return [row for (row,) in self._connection.execute(sql("ingestion/select_taken_ids"), parameters).fetchall()]

    def gone(self, replaced: int) -> pa.Table:
        """Rows (kind, feedback_id) that the table no longer has; none if the file is another one in place of that.

        Args:
            replaced: how many rows were read as newer states of what was in their place.
        """
        parameters = {"source": self.source, "ingestion": self.ingestion}
        stale = self._connection.sql(sql("ingestion/select_stale"), params=parameters).to_arrow_table()
        alike = replaced + (pc.sum(stale["same_subject"]).as_py() or 0)
        return stale if self._is_same_file(alike) else stale.slice(0, 0)

    def end(self) -> None:
        """Remember the table as it is now."""
        parameters = {"source": self.source, "blocks": list(self.changes.blocks)}
        self._connection.execute(sql("ingestion/delete_source_blocks"), parameters)
        blocks = {number: block for number, block in self.changes.blocks.items() if block is not None}
        if not blocks:
            return
        self._connection.register(
            "read_blocks",
            pa.table(
                {
                    "source": pa.array([self.source] * len(blocks)),
                    "block": pa.array(blocks.keys(), pa.int64()),
                    "signature": pa.array([block.signature for block in blocks.values()]),
                    "positions": pa.array([block.positions for block in blocks.values()], pa.list_(pa.int64())),
                    "digests": pa.array([block.digests for block in blocks.values()], pa.list_(pa.uint64())),
                }
            ),
        )
        self._connection.execute("INSERT INTO source_blocks BY NAME FROM read_blocks")
        self._connection.unregister("read_blocks")

    def _is_same_file(self, alike: int) -> bool:
        """Whether rows were changed and deleted in the file, rather than the file put in place of another.

        Most rows are what they were, or about the same; where none is left, the table has counted on.
        """
        last = max((int(block.positions.max()) for block in self.blocks.values()), default=0)
        counted_on = self.changes.last_given is not None and self.changes.last_given >= last
        if self.changes.last_given is not None and not counted_on:
            return False
        same, others = self.changes.unchanged + alike, self.changes.changed - alike
        return same >= others and (same > 0 or counted_on)
