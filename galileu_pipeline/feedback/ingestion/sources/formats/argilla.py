"""Argilla's records, as its client writes them (`records.to_json`) and as its server answers; submitted ones only."""

from collections.abc import Iterator, Mapping
from typing import Any

from galileu_pipeline.feedback.ingestion.scale import DOWN_WORDS, TRUTH_WORDS, UP_WORDS
from galileu_pipeline.feedback.ingestion.sources.formats.naming import (
    answers_of,
    approves,
    disapproves,
    is_free_text,
    query_of,
    says_nothing,
)
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import NoFeedbackError, Record, RecordFormat, Row

_SUBMITTED = "submitted"
_GOOD, _BAD = ("good", "bom", "boa"), ("bad", "ruim")
_JUDGEMENTS = frozenset((*UP_WORDS, *DOWN_WORDS, *_GOOD, *_BAD))
_TIES = frozenset({"tie", "same", "equal", "both", "empate"})


def _recognises(record: Record) -> bool:
    return isinstance(record.get("fields"), Mapping) and isinstance(record.get("responses"), Mapping | list)


def _rows(record: Record) -> Iterator[Row]:
    given = [item for item in _responses(record) if item[1]]
    if not given:
        raise NoFeedbackError("no submitted response")
    fields = record["fields"]
    query, answers = query_of(fields), answers_of(fields)
    for person, values in given:
        row = {"query": query, "user_id": person, "timestamp": record.get("updated_at")}
        if len(answers) == 1:
            yield {**row, "response": answers[0][1], **_signals(values)}
        else:
            (left, response_left), (right, response_right) = answers
            sides = {"response_left": response_left, "response_right": response_right}
            yield {**row, **sides, "verdict": _verdict(values, left, right)}


def _responses(record: Record) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """(person, {question: value}) of each response, whichever way it is written."""
    responses = record["responses"]
    if isinstance(responses, list):
        for item in responses:
            if item.get("status") == _SUBMITTED:
                yield item.get("user_id"), {name: value["value"] for name, value in (item.get("values") or {}).items()}
        return
    people: dict[str | None, dict[str, Any]] = {}
    for name, items in responses.items():
        for item in items:
            if item.get("status", _SUBMITTED) == _SUBMITTED:
                people.setdefault(item.get("user_id"), {})[name] = item["value"]
    yield from people.items()


def _signals(values: Mapping[str, Any]) -> Row:
    """The only number is the rating; a text is the comment, unless it is a word for a thumb.

    Raises:
        ValueError: they contradict each other, or are the answer to a question of which more may be worse.
    """
    said = {name: value for name, value in values.items() if isinstance(value, str) and is_free_text(name)}
    judged_by = {name: value for name, value in values.items() if name not in said}
    for name, value in judged_by.items():
        word = value.lower() if isinstance(value, str) else ""
        judged = isinstance(value, int | float) or word in _JUDGEMENTS
        telling = approves(name) or says_nothing(name) or word not in TRUTH_WORDS
        if judged and (disapproves(name) or not telling):
            raise ValueError(f"whether {name[:40]!r} is good or bad cannot be told")
    numbers = [value for value in judged_by.values() if isinstance(value, int | float)]
    texts = [value for value in judged_by.values() if isinstance(value, str)]
    if len(numbers) > 1:
        raise ValueError("several ratings; which of them counts cannot be told")
    thumbs = {text.lower() in UP_WORDS + _GOOD for text in texts if text.lower() in _JUDGEMENTS}
    if len(thumbs) > 1:
        raise ValueError("labels that contradict each other")
    comments = [*said.values(), *(text for text in texts if text.lower() not in _JUDGEMENTS)]
    return {
        "rating": numbers[0] if numbers else None,
        "thumbs_up": thumbs.pop() if thumbs else None,
        "comment": " ".join(comments) or None,
    }


def _verdict(values: Mapping[str, Any], left: str, right: str) -> str:
    """From a ranking of the two answers, or a label that is the name of the better one.

    Raises:
        ValueError: there is none, there are several that differ, or it may be the name of the worse one.
    """
    verdicts = {name: verdict for name, value in values.items() if (verdict := _verdict_of(value, left, right))}
    if not verdicts:
        raise ValueError(f"no ranking, and no label that is {left} or {right}")
    if bad := next(filter(disapproves, verdicts), None):
        raise ValueError(f"whether {bad[:40]!r} is the better or the worse answer cannot be told")
    if len(set(verdicts.values())) > 1:
        raise ValueError(f"{', '.join(verdicts)} differ; which of them counts cannot be told")
    return next(iter(verdicts.values()))


def _verdict_of(value: Any, left: str, right: str) -> str | None:
    if isinstance(value, list):
        ranks = {item["value"]: item["rank"] for item in value}
        difference = ranks[left] - ranks[right]
        return "tie" if not difference else "left" if difference < 0 else "right"
    if value in (left, right):
        return "left" if value == left else "right"
    return "tie" if isinstance(value, str) and value.lower() in _TIES else None


ARGILLA = RecordFormat("Argilla records", _recognises, _rows)
