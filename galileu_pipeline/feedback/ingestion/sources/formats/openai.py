"""OpenAI's preference data: {"input": {"messages": ...}, "preferred_output": ..., "non_preferred_output": ...}."""

from collections.abc import Iterator

from galileu_pipeline.feedback.ingestion.sources.formats.conversations import question, text_of, turns
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import Record, RecordFormat, Row

_KEYS = frozenset({"input", "preferred_output", "non_preferred_output"})


def _rows(record: Record) -> Iterator[Row]:
    yield {
        "query": question(turns(record["input"]["messages"])),
        "response_chosen": _text(record["preferred_output"]),
        "response_rejected": _text(record["non_preferred_output"]),
    }


def _text(output: list[Record]) -> str:
    """Outputs are lists of one message."""
    (message,) = output
    return text_of(message)


PREFERENCES = RecordFormat("OpenAI preferences", lambda record: record.keys() >= _KEYS, _rows)
