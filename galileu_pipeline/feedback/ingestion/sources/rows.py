"""What every kind of source yields: rows as JSON text, by the batch, each with its place in the source."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from galileu_pipeline.feedback.ingestion.reasons import Reason

BATCH_BYTES = 32 << 20
BATCH_ROWS = 20_000
# A row beyond this is refused unread: the longest texts that are accepted take a twentieth of it.
MAX_ROW_BYTES = 8 << 20


@dataclass(frozen=True)
class RefusedRow:
    """A row that could not be made JSON text. `content` tells it from others; who is in it cannot be told."""

    position: int
    reason: Reason
    detail: str
    content: str = ""


@dataclass(frozen=True)
class RowBatch:
    """Rows in the order of the source.

    positions: (N,) int64, the line number in a text file (from 1), or the rowid in SQLite.
    rows: (N,) string, each meant to be a JSON object; whether it is one is not known yet.
    paths: for fields that do not stand under their own name, the JSON path where they stand in these rows.
    """

    positions: pa.Array
    rows: pa.Array
    refused: Sequence[RefusedRow] = ()
    paths: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.positions) + len(self.refused)


def batch_of_bytes(positions: Sequence[int], rows: Iterable[bytes], refused: Sequence[RefusedRow] = ()) -> RowBatch:
    """A batch of rows that should be UTF-8; those that are not are refused, with U+FFFD for what cannot be read."""
    kept_positions, kept, bad = [], [], list(refused)
    for position, row in zip(positions, rows, strict=True):
        try:
            kept.append(row.decode("utf-8"))
            kept_positions.append(position)
        except UnicodeDecodeError as error:
            detail = f"not valid UTF-8 at byte {error.start}: {error.reason}"
            bad.append(RefusedRow(position, Reason.INVALID_UTF8, detail, row.decode("utf-8", "replace")))
    return RowBatch(
        pa.array(kept_positions, pa.int64()),
        pa.array(kept, pa.string()),
        sorted(bad, key=lambda row: row.position),
    )
