"""What a format of another program is: how its records are known, and which rows of feedback each of them holds."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from galileu_pipeline.feedback.ingestion.reasons import Reason
from galileu_pipeline.feedback.ingestion.sources.rows import RefusedRow, RowBatch
from galileu_pipeline.feedback.ingestion.sources.shapes import EVENT

Record = Mapping[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class RecordFormat:
    """Records that another program wrote.

    recognises: told by the first record of a file.
    rows: the rows of a record, under this project's own names; raises `NoFeedbackError` where nobody judged anything.
    scale: what the ratings mean, as for `--scale`; None where rows have none, or are on the default scale.
    """

    name: str
    recognises: Callable[[Record], bool]
    rows: Callable[[Record], Iterable[Row]]
    scale: str | None = None


def of_columns(
    name: str, recognises: Callable[[Record], bool], rows: Callable[[Record], Iterable[Row]]
) -> RecordFormat:
    """A format that is spread as a table: a column that some records have is null in all others, as if not there."""
    return RecordFormat(
        name, lambda record: recognises(without_nulls(record)), lambda record: rows(without_nulls(record))
    )


def own_fields(record: Record, *names: str) -> Row:
    """Fields of this project's own that a record has beside those of its format: of any event, and of these names."""
    return {name: record[name] for name in (*EVENT, *names) if name in record}


def truth_of(record: Record, name: str) -> bool:
    """A field that must be true or false.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(record[name], bool):
        raise ValueError(f"{name} is not true or false")
    return record[name]


def without_nulls(record: Record) -> Record:
    """The record less the fields that have no value."""
    return {name: value for name, value in record.items() if value is not None}


class NoFeedbackError(Exception):
    """A record in which nobody gave feedback; says what it is."""


def converted(batches: Iterable[RowBatch], records: RecordFormat, skipped: Counter[str]) -> Iterator[RowBatch]:
    """Batches of records as batches of rows. A record that is not like the others is refused.

    Args:
        skipped: counts what is no feedback.
    """
    for batch in batches:
        positions: list[int] = []
        rows: list[str] = []
        refused = list(batch.refused)
        for position, text in zip(batch.positions.to_pylist(), batch.rows.to_pylist(), strict=True):
            try:
                found = [_json(row) for row in records.rows(json.loads(text))]
                positions += [position] * len(found)
                rows += found
            except NoFeedbackError as reason:
                skipped[str(reason)] += 1
            except json.JSONDecodeError:
                refused.append(RefusedRow(position, Reason.INVALID_JSON, "not JSON; is the line cut off?", text))
            except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
                detail = f"not a record of {records.name}: {type(error).__name__} {error}"
                refused.append(RefusedRow(position, Reason.UNKNOWN_SHAPE, detail[:200], text))
        if positions or refused:
            refused.sort(key=lambda row: row.position)
            yield RowBatch(pa.array(positions, pa.int64()), pa.array(rows, pa.string()), refused)


def _json(row: Row) -> str:
    """A row as JSON, less what it lacks.

    Raises:
        ValueError: half a letter stands in a text (a lone surrogate), which no text can hold.
    """
    text = json.dumps({name: value for name, value in row.items() if value is not None}, ensure_ascii=False)
    text.encode()
    return text
