"""NVIDIA's HelpSteer: single answers rated from 0 to 4, and preferences from -3 (response 1 is better) to 3."""

from collections.abc import Iterator

from galileu_pipeline.feedback.ingestion.sources.formats.conversations import question, turns
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import Record, RecordFormat, Row

_ATTRIBUTES = ("correctness", "coherence", "complexity", "verbosity")
_PREFERENCES = ("overall_preference", "preference_strength")


def _has_ratings(record: Record) -> bool:
    return record.keys() >= {"prompt", "response", "helpfulness", *_ATTRIBUTES}


def _rated_rows(record: Record) -> Iterator[Row]:
    yield {
        "query": record["prompt"],
        "response": record["response"],
        "rating": record["helpfulness"],
        "metadata": {name: record[name] for name in _ATTRIBUTES},
    }


def _has_preference(record: Record) -> bool:
    responses = {"response1", "response2"} <= record.keys() or {"response_1", "response_2"} <= record.keys()
    return responses and not record.keys().isdisjoint(_PREFERENCES)


def _preferred_rows(record: Record) -> Iterator[Row]:
    overall, strength = _PREFERENCES
    preference = record[overall if overall in record else strength]
    underscore = "_" if "response_1" in record else ""
    yield {
        "query": question(turns(record["context"])) if "context" in record else record["prompt"],
        "response_left": record[f"response{underscore}1"],
        "response_right": record[f"response{underscore}2"],
        "verdict": "tie" if preference == 0 else "left" if preference < 0 else "right",
        "metadata": {"preference": preference, "domain": record.get("domain")},
    }


RATINGS = RecordFormat("HelpSteer ratings", _has_ratings, _rated_rows, scale="0-4")
PREFERENCES = RecordFormat("HelpSteer preferences", _has_preference, _preferred_rows)
