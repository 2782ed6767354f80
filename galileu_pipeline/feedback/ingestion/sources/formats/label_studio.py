"""Label Studio's JSON export of a project with the `Pairwise` tag; annotations that were cancelled are left out."""

from collections.abc import Iterator, Mapping
from typing import Any

from galileu_pipeline.feedback.ingestion.sources.formats.naming import answers_of, query_of
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import NoFeedbackError, Record, RecordFormat, Row


def _recognises(record: Record) -> bool:
    return isinstance(record.get("annotations"), list) and isinstance(record.get("data"), Mapping)


def _rows(record: Record) -> Iterator[Row]:
    given = [item for item in record["annotations"] if not item.get("was_cancelled")]
    chosen = [(item, result) for item in given for result in item["result"] if result.get("type") == "pairwise"]
    if not chosen:
        raise NoFeedbackError("no pairwise annotation, or cancelled")
    for annotation, result in chosen:
        left, right = _sides(record["data"], result["to_name"])
        yield {
            "query": query_of(record["data"]),
            "response_left": left,
            "response_right": right,
            "verdict": {"left": "left", "right": "right"}[result["value"]["selected"]],
            "feedback_id": f"label-studio-{annotation['id']}" if "id" in annotation else None,
            "user_id": _person(annotation.get("completed_by")),
            "timestamp": annotation.get("updated_at") or annotation.get("created_at"),
        }


def _sides(data: Mapping[str, Any], to_name: str) -> tuple[str, str]:
    """The two texts: those that the tag names, where they are called like the data, else the task's two answers."""
    named = [data.get(name.strip()) for name in to_name.split(",")]
    if len(named) == 2 and all(isinstance(text, str) for text in named):
        return str(named[0]), str(named[1])
    (_, left), (_, right) = answers_of(data)
    return left, right


def _person(completed_by: object) -> str | None:
    """A number or, in newer exports, an object with one."""
    found = completed_by.get("id") if isinstance(completed_by, Mapping) else completed_by
    return None if found is None else str(found)


PAIRWISE = RecordFormat("Label Studio pairwise", _recognises, _rows)
