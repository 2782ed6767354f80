"""TRL's datasets (https://huggingface.co/docs/trl/dataset_formats), texts or lists of messages.

Preferences, {"prompt", "chosen", "rejected"}, of which messages may hold the prompt themselves; and answers that
somebody liked or did not, {"prompt", "completion", "label"}, as for KTO.
"""

from collections.abc import Iterator

from galileu_pipeline.feedback.ingestion.sources.formats import hh_rlhf
from galileu_pipeline.feedback.ingestion.sources.formats.conversations import Turn, question_and_answer, turns
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import (
    Record,
    Row,
    of_columns,
    own_fields,
    truth_of,
)

# Where LLaMA-Factory has the question, or what was said before it.
_ELSEWHERE = frozenset({"history", "instruction", "conversations"})


def _has_preference(record: Record) -> bool:
    if hh_rlhf.TRANSCRIPTS.recognises(record) or not all(_is_said(record.get(side)) for side in ("chosen", "rejected")):
        return False
    whole = isinstance(record["chosen"], list) and len(record["chosen"]) > 1
    return whole or (_is_said(record.get("prompt")) and _ELSEWHERE.isdisjoint(record))


def _preferred_rows(record: Record) -> Iterator[Row]:
    query, chosen = _asked_and_said(record, "chosen")
    other_query, rejected = _asked_and_said(record, "rejected")
    if query != other_query:
        raise ValueError("the two conversations differ before the last answer")
    yield {**own_fields(record, "reason"), "query": query, "response_chosen": chosen, "response_rejected": rejected}


def _has_label(record: Record) -> bool:
    said = _is_said(record.get("prompt")) and _is_said(record.get("completion"))
    return said and isinstance(record.get("label"), bool) and _ELSEWHERE.isdisjoint(record)


def _labelled_rows(record: Record) -> Iterator[Row]:
    query, response = _asked_and_said(record, "completion")
    said = own_fields(record, "rating", "comment")
    yield {**said, "query": query, "response": response, "thumbs_up": truth_of(record, "label")}


def _is_said(value: object) -> bool:
    """A text, or messages."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(message, dict) for message in value)
    return isinstance(value, str)


def _asked_and_said(record: Record, name: str) -> tuple[str, str]:
    """The question, and the answer of that name; its messages may repeat what was said before.

    Raises:
        ValueError: they begin with another question than the prompt.
    """
    asked, said = _turns(record.get("prompt") or [], "user"), _turns(record[name], "assistant")
    if not said or said[0][0] == "assistant":
        return question_and_answer([*asked, *said])
    if asked and _stripped(said[: len(asked)]) != _stripped(asked):
        raise ValueError(f"the conversation in {name} is not that of the prompt")
    return question_and_answer(said)


def _turns(value: str | list[Record], speaker: str) -> list[Turn]:
    if not isinstance(value, str):
        return turns(value)
    if value.lstrip().startswith(('[{"role"', '[{"content"', '[{"from"')):
        raise ValueError("messages are written as a text; they have to be a list")
    return [(speaker, value)]


def _stripped(said: list[Turn]) -> list[Turn]:
    return [(speaker, text.strip()) for speaker, text in said]


PREFERENCES = of_columns("TRL preferences", _has_preference, _preferred_rows)
LABELLED = of_columns("TRL answers with labels", _has_label, _labelled_rows)
