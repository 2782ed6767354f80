"""UltraFeedback: several models' answers to an instruction, each with a score from 1 to 10 that GPT-4 gave."""

from collections.abc import Iterator

from galileu_pipeline.feedback.ingestion.sources.formats.record_format import NoFeedbackError, Record, RecordFormat, Row


def _recognises(record: Record) -> bool:
    return isinstance(record.get("instruction"), str) and isinstance(record.get("completions"), list)


def _rows(record: Record) -> Iterator[Row]:
    if not record["completions"]:
        raise NoFeedbackError("an instruction without answers")
    for completion in record["completions"]:
        yield {
            "query": record["instruction"],
            "response": completion["response"],
            "rating": completion["overall_score"],
            "comment": completion.get("critique"),
            "metadata": {"model": completion.get("model"), "source": record.get("source")},
        }


ULTRAFEEDBACK = RecordFormat("UltraFeedback", _recognises, _rows, scale="1-10")
