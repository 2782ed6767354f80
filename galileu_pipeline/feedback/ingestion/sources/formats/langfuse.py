"""Langfuse: traces with their scores, or scores with their traces. What a model scored is no feedback."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from galileu_pipeline.feedback.ingestion.scale import DOWN_WORDS, TRUTH_WORDS, UP_WORDS
from galileu_pipeline.feedback.ingestion.sources.formats.conversations import question, text_of, turns
from galileu_pipeline.feedback.ingestion.sources.formats.naming import require_good
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import NoFeedbackError, Record, RecordFormat, Row

_INPUTS = ("query", "question", "input", "prompt", "message", "content")
_OUTPUTS = ("response", "answer", "output", "completion", "message", "content")


def _is_trace(record: Record) -> bool:
    return record.keys() >= {"input", "output"} and isinstance(record.get("scores"), list)


def _is_score(record: Record) -> bool:
    return record.keys() >= {"traceId", "name", "trace"} and not record.keys().isdisjoint({"value", "stringValue"})


def _trace_rows(record: Record) -> Iterator[Row]:
    people = [score for score in record["scores"] if isinstance(score, Mapping) and score.get("source") != "EVAL"]
    if not people:
        raise NoFeedbackError("a trace without scores that people gave")
    for score in people:
        yield _row(score, record)


def _score_rows(record: Record) -> Iterator[Row]:
    if record.get("source") == "EVAL":
        raise NoFeedbackError("a score that a model gave")
    if not record["trace"] or "input" not in record["trace"]:
        raise NoFeedbackError("a score whose trace has no texts")
    yield _row(record, record["trace"])


def _row(score: Record, trace: Record) -> Row:
    return {
        "query": _query(trace["input"]),
        "response": _response(trace["output"]),
        **_signal(score),
        "comment": score.get("comment"),
        "feedback_id": score.get("id"),
        "timestamp": score.get("updatedAt") or score.get("timestamp") or trace.get("timestamp"),
        "user_id": trace.get("userId"),
        "session_id": trace.get("sessionId"),
        "metadata": {"score": score.get("name")},
    }


def _signal(score: Record) -> Row:
    """A thumb where the score is a truth value, or a word for one; numbers are ratings, on whatever scale.

    Raises:
        ValueError: by its name it may be the worse the more of it there is.
    """
    name = str(score.get("name"))
    value = score.get("stringValue") if score.get("dataType") == "CATEGORICAL" else score.get("value")
    value = score.get("value") if value is None else value
    if score.get("dataType") == "BOOLEAN" or isinstance(value, bool):
        require_good(name, truth=True)
        return {"thumbs_up": value in (1, True, "True", "true")}
    if isinstance(value, str):
        if value.lower() not in UP_WORDS + DOWN_WORDS:
            raise ValueError(f"what the score {value[:40]!r} is worth cannot be told")
        require_good(name, truth=value.lower() in TRUTH_WORDS)
        return {"thumbs_up": value.lower() in UP_WORDS}
    require_good(name)
    return {"rating": value}


def _query(value: Any) -> str:
    if isinstance(value, Mapping) and isinstance(value.get("messages"), Sequence):
        value = value["messages"]
    if isinstance(value, list):
        return question(turns(value))
    return _text(value, _INPUTS)


def _response(value: Any) -> str:
    if isinstance(value, list) and value:
        return text_of(value[-1])
    return _text(value, _OUTPUTS)


def _text(value: Any, names: Sequence[str]) -> str:
    if isinstance(value, str):
        return value
    found = [value[name] for name in names if isinstance(value.get(name), str)]
    if not found:
        raise ValueError(f"no text; it must be called one of {', '.join(names)}")
    return str(found[0])


TRACES = RecordFormat("Langfuse traces", _is_trace, _trace_rows)
SCORES = RecordFormat("Langfuse scores", _is_score, _score_rows)
