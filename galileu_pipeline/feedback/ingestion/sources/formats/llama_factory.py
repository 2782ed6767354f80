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
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import Record, RecordFormat, Row

_ASKED = ("instruction", "conversations", "messages")


def _has_preference(record: Record) -> bool:
    return record.keys() >= {"chosen", "rejected"} and not record.keys().isdisjoint(_ASKED)


def _preferred_rows(record: Record) -> Iterator[Row]:
    yield {
        "query": question(_said(record)),
        "response_chosen": _text(record["chosen"]),
        "response_rejected": _text(record["rejected"]),
    }


def _has_tag(record: Record) -> bool:
    return isinstance(record.get("kto_tag"), bool) and not record.keys().isdisjoint(_ASKED)


def _tagged_rows(record: Record) -> Iterator[Row]:
    said = _said(record)
    if "output" in record:
        said.append(("assistant", record["output"]))
    query, response = question_and_answer(said)
    if not isinstance(record["kto_tag"], bool):
        raise ValueError("kto_tag is not true or false")
    yield {"query": query, "response": response, "thumbs_up": record["kto_tag"]}


def _said(record: Record) -> list[Turn]:
    """The conversation so far: Alpaca's `history`, and its question with what is to be read for it."""
    if "instruction" not in record:
        return turns(record["conversations"] if "conversations" in record else record["messages"])
    before: list[Turn] = []
    for asked, answered in record.get("history") or ():
        before += [("user", asked), ("assistant", answered)]
    return [*before, ("user", "\n".join(filter(None, (record["instruction"], record.get("input")))))]


def _text(answer: str | Record) -> str:
    return answer if isinstance(answer, str) else text_of(answer)


PREFERENCES = RecordFormat("LLaMA-Factory preferences", _has_preference, _preferred_rows)
TAGGED = RecordFormat("LLaMA-Factory answers with kto_tag", _has_tag, _tagged_rows)
