"""LLaMA-Factory's datasets (its data/README.md), Alpaca's columns or ShareGPT's messages.

Preferences have `chosen` and `rejected`; answers that somebody liked or did not, as for KTO, have `kto_tag`.
"""

from collections.abc import Iterator

from galileu_pipeline.feedback.ingestion.sources.formats.conversations import (
    Turn,
    question,
    question_and_answer,
    text_of,
    turns,
)
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import (
    Record,
    Row,
    of_columns,
    own_fields,
    truth_of,
)

_QUESTIONS, _CONVERSATIONS = ("instruction", "prompt"), ("conversations", "messages")


def _has_preference(record: Record) -> bool:
    return _asks(record) and all(_is_one_answer(record.get(side)) for side in ("chosen", "rejected"))


def _preferred_rows(record: Record) -> Iterator[Row]:
    yield {
        **own_fields(record, "reason"),
        "query": question(_said(record)),
        "response_chosen": _answer(record["chosen"]),
        "response_rejected": _answer(record["rejected"]),
    }


def _has_tag(record: Record) -> bool:
    return isinstance(record.get("kto_tag"), bool) and _asks(record)


def _tagged_rows(record: Record) -> Iterator[Row]:
    said = _said(record)
    if "output" in record:
        said.append(("assistant", record["output"]))
    query, response = question_and_answer(said)
    more = own_fields(record, "rating", "comment")
    yield {**more, "query": query, "response": response, "thumbs_up": truth_of(record, "kto_tag")}


def _asks(record: Record) -> bool:
    """Whether it has the question where TRL's records have none."""
    return not record.keys().isdisjoint({"instruction", "history", "conversations"}) or (
        "messages" in record and "prompt" not in record
    )


def _said(record: Record) -> list[Turn]:
    """The conversation so far: Alpaca's `history`, and its question with what is to be read for it.

    Raises:
        ValueError: `history` is no list of questions with their answers.
    """
    asked = next((record[name] for name in _QUESTIONS if name in record), None)
    if asked is None:
        return turns(next(record[name] for name in _CONVERSATIONS if name in record))
    before: list[Turn] = []
    for exchange in record.get("history", ()):
        if not (isinstance(exchange, list) and [type(text) for text in exchange] == [str, str]):
            raise ValueError("history is not a list of questions with their answers")
        before += zip(("user", "assistant"), exchange, strict=True)
    return [*before, ("user", "\n".join(filter(None, (asked, record.get("input")))))]


def _is_one_answer(value: object) -> bool:
    return isinstance(value, str | dict) or (isinstance(value, list) and len(value) == 1)


def _answer(answer: str | Record | list[Record]) -> str:
    """A text, a message, or a list of one."""
    if isinstance(answer, list):
        (answer,) = answer
    return answer if isinstance(answer, str) else text_of(answer)


PREFERENCES = of_columns("LLaMA-Factory preferences", _has_preference, _preferred_rows)
TAGGED = of_columns("LLaMA-Factory answers with kto_tag", _has_tag, _tagged_rows)
