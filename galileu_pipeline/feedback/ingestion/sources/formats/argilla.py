"""Argilla's records, as its client writes them (`records.to_json`) and as its server answers; submitted ones only."""

from collections.abc import Iterator, Mapping
from typing import Any

from galileu_pipeline.feedback.ingestion.scale import DOWN_WORDS, TRUTH_WORDS, UP_WORDS
from galileu_pipeline.feedback.ingestion.sources.formats.naming import (
    answers_of,
    is_free_text,
    query_of,
    require_good,
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
    numbers: list[float] = []
    thumbs: set[bool] = set()
    comments: list[str] = []
    for name, value in values.items():
        if isinstance(value, int | float):
            require_good(name)
            numbers.append(value)
        elif isinstance(value, str) and value.lower() in _JUDGEMENTS and not is_free_text(name):
            require_good(name, truth=value.lower() in TRUTH_WORDS and not says_nothing(name))
            thumbs.add(value.lower() in UP_WORDS + _GOOD)
        elif isinstance(value, str):
            comments.append(value)
    if len(numbers) > 1:
        raise ValueError("several ratings; which of them counts cannot be told")
    if len(thumbs) > 1:
        raise ValueError("labels that contradict each other")
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
    for name in verdicts:
        if not isinstance(values[name], list):  # in a ranking the first is the best
            require_good(name)
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
