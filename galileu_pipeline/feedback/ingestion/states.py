"""What becomes of a row whose id is here already: the same again, a newer or older state of it, or another row's id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galileu_pipeline.feedback.ingestion.batches import Feed
from galileu_pipeline.feedback.ingestion.sources.sqlite_changes import TableChanges
from galileu_pipeline.feedback.statements import sql

_NONE_MET = pa.schema(
    [
        ("ordinal", pa.int64()),
        ("kind", pa.string()),
        ("feedback_id", pa.string()),
        ("position", pa.int64()),
        ("outcome", pa.string()),
    ]
).empty_table()


@dataclass(frozen=True)
class Met:
    """Rows of a layer whose id is here already: (ordinal, kind, feedback_id, position, outcome), see select_met.sql."""

    rows: pa.Table

    def of(self, outcome: str) -> pa.Table:
        return self.rows.filter(pc.equal(self.rows["outcome"], outcome))

    @property
    def conflicts(self) -> list[int]:
        """The ordinals of rows that have another row's id."""
        return self.of("conflict")["ordinal"].to_pylist()


class States:
    """The states of votes: one stands, in the tables of feedback, and the others are in `feedback_history`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._here_rows = Feed(connection, "here_rows")
        self._met_rows = Feed(connection, "met_rows")
        self._leaving_rows = Feed(connection, "leaving_rows")
        self._here: duckdb.DuckDBPyRelation | None = None
        self._left_positions = Feed(connection, "left_positions")
        self._leave([])
        self.moved = 0  # rows of a database that replaced their own earlier state from elsewhere, since `follow`

    def follow(self, changes: TableChanges) -> None:
        """A database is read from now on. Of one in which no row is as it was, nobody knows whether it is the same."""
        self._leave(changes.stale_positions if changes.unchanged else [])
        self.moved = 0

    def _leave(self, positions: Sequence[int] | NDArray[np.int64]) -> None:
        self._left_positions.put(pa.table({"position": pa.array(positions, pa.int64())}))

    def meet(self, source: str, *, in_place: bool) -> Met:
        """Compare the view `judged_rows` with what is here; `met_rows` shows the result from then on."""
        if self._here is None:  # planned once: that takes longer than to ask it of a few rows
            self._here = self._connection.sql(sql("ingestion/select_here"))
        here = self._here.to_arrow_table()
        met = Met(_NONE_MET)
        if here.num_rows:
            self._here_rows.put(here)
            parameters = {"source": source, "in_place": in_place}
            found = self._connection.sql(sql("ingestion/select_met"), params=parameters).to_arrow_table()
            newer = pc.equal(found["outcome"], "newer")
            self.moved += pc.sum(pc.and_(newer, found["moved"])).as_py() or 0
            met = Met(found.drop_columns(["moved"]))
        self._met_rows.put(met.rows.cast(_NONE_MET.schema))
        return met

    def make_room(self, met: Met, source: str, ingestion: int, *, in_place: bool) -> None:
        """Let the states that have a newer one now leave for the history.

        Of rows in a database (`in_place`), those known from elsewhere count as the database's from now on.
        """
        self.archive(met.of("newer"), "replaced", ingestion)
        if in_place and met.of("known").num_rows:
            self._execute("claim_known_rows", {"source": source, "ingestion": ingestion})

    def archive(self, leaving: pa.Table, cause: str, ingestion: int) -> None:
        """Move rows (kind, feedback_id) to the history."""
        if leaving.num_rows:
            self._leaving_rows.put(leaving.select(["kind", "feedback_id"]))
            self._execute("archive_rows", {"cause": cause, "ingestion": ingestion})

    def _execute(self, script: str, variables: Mapping[str, object]) -> None:
        for name, value in variables.items():
            self._connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
        self._connection.execute(sql(f"ingestion/{script}"))
