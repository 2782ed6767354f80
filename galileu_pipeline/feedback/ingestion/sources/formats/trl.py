"""TRL's datasets (https://huggingface.co/docs/trl/dataset_formats), texts or lists of messages.

Preferences, {"prompt", "chosen", "rejected"}, of which messages may hold the prompt themselves; and answers that
somebody liked or did not, {"prompt", "completion", "label"}, as for KTO.
"""

from collections.abc import Iterator

from galileu_pipeline.feedback.ingestion.sources.formats.conversations import question_and_answer, turns
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import Record, RecordFormat, Row

_PROMPT, _CHOSEN, _REJECTED, _COMPLETION, _LABEL = "prompt", "chosen", "rejected", "completion", "label"


def _has_preference(record: Record) -> bool:
    if not (_is_answer(record.get(_CHOSEN)) and _is_answer(record.get(_REJECTED))):
        return False
    return _is_answer(record[_PROMPT]) if _PROMPT in record else not isinstance(record[_CHOSEN], str)


def _preferred_rows(record: Record) -> Iterator[Row]:
    query, chosen = _asked_and_said(record, _CHOSEN)
    other_query, rejected = _asked_and_said(record, _REJECTED)
    if query != other_query:
        raise ValueError("the two conversations differ before the last answer")
    yield {"query": query, "response_chosen": chosen, "response_rejected": rejected}


def _has_label(record: Record) -> bool:
    texts = _is_answer(record.get(_PROMPT)) and _is_answer(record.get(_COMPLETION))
    return texts and isinstance(record.get(_LABEL), bool)


def _labelled_rows(record: Record) -> Iterator[Row]:
    query, response = _asked_and_said(record, _COMPLETION)
    if not isinstance(record[_LABEL], bool):
        raise ValueError("label is not true or false")
    yield {"query": query, "response": response, "thumbs_up": record[_LABEL]}


def _is_answer(value: object) -> bool:
    """A text, or messages."""
    return isinstance(value, str) or (
        isinstance(value, list) and bool(value) and all(isinstance(message, dict) for message in value)
    )


def _asked_and_said(record: Record, name: str) -> tuple[str, str]:
    """The question and the answer of that name; the messages of the answer may repeat the whole conversation."""
    prompt, answer = record.get(_PROMPT, []), record[name]
    asked = [("user", prompt)] if isinstance(prompt, str) else turns(prompt)
    said = [("assistant", answer)] if isinstance(answer, str) else turns(answer)
    return question_and_answer(said if len(said) > 1 else [*asked, *said])


PREFERENCES = RecordFormat("TRL preferences", _has_preference, _preferred_rows)
LABELLED = RecordFormat("TRL answers with labels", _has_label, _labelled_rows)
