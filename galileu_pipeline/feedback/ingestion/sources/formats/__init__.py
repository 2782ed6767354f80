"""Formats that other programs write, told apart by their records. One module each."""

from typing import Any

from galileu_pipeline.feedback.ingestion.sources.formats import openai
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import RecordFormat

FORMATS: tuple[RecordFormat, ...] = (openai.PREFERENCES,)


def recognise_format(record: dict[str, Any]) -> RecordFormat | None:
    """The format of a file with this first record; None where it is this project's own shape, or not known."""
    return next((known for known in FORMATS if record and known.recognises(record)), None)
