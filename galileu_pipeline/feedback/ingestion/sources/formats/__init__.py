"""Formats that other programs write, told apart by their records. One module each."""

from galileu_pipeline.feedback.ingestion.sources.formats import (
    arena,
    argilla,
    helpsteer,
    hh_rlhf,
    label_studio,
    langfuse,
    llama_factory,
    open_webui,
    openai,
    trl,
    ultrafeedback,
)
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import Record, RecordFormat, without_nulls
from galileu_pipeline.feedback.ingestion.sources.shapes import TABLES

FORMATS: tuple[RecordFormat, ...] = (
    open_webui.OPEN_WEBUI,
    arena.LOGS,
    arena.BATTLES,
    label_studio.PAIRWISE,
    argilla.ARGILLA,
    langfuse.TRACES,
    langfuse.SCORES,
    openai.PREFERENCES,
    trl.PREFERENCES,
    trl.LABELLED,
    llama_factory.PREFERENCES,
    llama_factory.TAGGED,
    hh_rlhf.TRANSCRIPTS,
    ultrafeedback.ULTRAFEEDBACK,
    helpsteer.RATINGS,
    helpsteer.PREFERENCES,
)


def recognise_format(record: Record) -> RecordFormat | None:
    """The format of a file with this first record; None where it is this project's own shape, or not known."""
    if any(without_nulls(record).keys() >= set(table.required) for table in TABLES):
        return None
    return next((known for known in FORMATS if known.recognises(record)), None)
