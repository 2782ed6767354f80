"""`parse_rows.sql`: JSON text of rows becomes typed columns.

To plan the statement takes as long as to parse hundreds of rows, and small files are many. So its plans are kept, each
with a connection of its own.
"""

import atexit
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import pyarrow as pa

from galileu_pipeline.database import in_memory
from galileu_pipeline.feedback.ingestion.batches import Feed, numbered
from galileu_pipeline.feedback.ingestion.scale import ABSENT_WORDS, DOWN_WORDS, UP_WORDS, Scale
from galileu_pipeline.feedback.ingestion.sources.rows import RowBatch
from galileu_pipeline.feedback.statements import sql, with_constants
from galileu_pipeline.feedback.times import EARLIEST, latest

MAX_TEXT_CHARS = 100_000
# In the order in which parse_rows.sql counts them.
FIELDS = (
    "query",
    "response",
    "comment",
    "response_chosen",
    "response_rejected",
    "response_left",
    "response_right",
    "reason",
    "feedback_id",
    "timestamp",
    "session_id",
    "user_id",
    "rating",
    "thumbs_up",
    "source_documents",
    "metadata",
    "model_left",
    "model_right",
    "verdict",
)
_MOST_IDLE = 8
_PARSE_ROWS = (
    "EXECUTE parse_rows(identity_secret := getvariable('secret'), latest_time := getvariable('latest')::TIMESTAMP)"
)
_NO_ROWS = pa.schema({"ordinal": pa.int64(), "position": pa.int64(), "row": pa.string()}).empty_table()


def json_paths(paths: Mapping[str, str]) -> list[str]:
    """Where each of `FIELDS` stands in a row, if not under its own name."""
    return [paths.get(field, f"$.{field}") for field in FIELDS]


@dataclass(frozen=True)
class Reading:
    """What a plan is made for: where the fields stand, and what ratings mean."""

    paths: tuple[str, ...]
    scale: Scale


class RowParser:
    """A connection that reads rows in one way, for one thread at a time."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self._connection = in_memory()
        self._raw_rows = Feed(self._connection, "raw_rows")
        self._raw_rows.put(_NO_ROWS)
        scale = reading.scale
        constants = {
            "paths": reading.paths,
            "scale_name": str(scale),
            "scale_ends": scale.ends,
            "worst_rating": scale.worst,
            "best_rating": scale.best,
            "thumbs": scale.thumbs,
            "up_words": UP_WORDS,
            "down_words": DOWN_WORDS,
            "absent_words": ABSENT_WORDS,
            "max_text_chars": MAX_TEXT_CHARS,
            "earliest_time": EARLIEST,
        }
        self._connection.execute(with_constants(sql("ingestion/create_reading_macros"), constants))
        self._connection.execute(f"PREPARE parse_rows AS {with_constants(sql('ingestion/parse_rows'), constants)}")

    def parse(self, batch: RowBatch, identity_secret: str) -> pa.Table:
        """The columns of parse_rows.sql; the secret is the key of the digests among them."""
        # As variables: a statement may be quoted in an error.
        for name, value in {"secret": identity_secret, "latest": latest().replace(tzinfo=None)}.items():
            self._connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
        self._raw_rows.put(numbered(batch).cast(_NO_ROWS.schema))
        parsed = self._connection.sql(_PARSE_ROWS)
        rows = parsed.to_arrow_table()
        self._raw_rows.put(_NO_ROWS)  # an idle one keeps nothing of a file
        return rows


@contextmanager
def row_parser(paths: Mapping[str, str], scale: Scale) -> Iterator[RowParser]:
    """One for rows whose fields stand at `paths`, if not under their own names, and whose ratings are on that scale."""
    reading = Reading(tuple(json_paths(paths)), scale)
    with _LOCK:
        known = next((parser for parser in _idle if parser.reading == reading), None)
        if known:
            _idle.remove(known)
    parser = known or RowParser(reading)
    yield parser  # after an error it is not used again
    with _LOCK:
        _idle.append(parser)
        del _idle[:-_MOST_IDLE]


_idle: list[RowParser] = []
_LOCK = Lock()
atexit.register(_idle.clear)  # while there still is an interpreter to take their connections down
