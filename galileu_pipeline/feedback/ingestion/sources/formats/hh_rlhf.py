"""HH-RLHF: two transcripts, "\\n\\nHuman: ... \\n\\nAssistant: ...", that differ in the last answer.

In copies of it `prompt` has the transcript up to the answers.
"""

import re
from collections.abc import Iterator

from galileu_pipeline.feedback.ingestion.sources.formats.conversations import Turn, question_and_answer
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import Record, RecordFormat, Row

_SPEAKER = re.compile(r"\n\n(Human|Assistant):")


def _recognises(record: Record) -> bool:
    sides = (record.get("chosen"), record.get("rejected"))
    return all(isinstance(side, str) for side in sides) and all(
        _is_transcript(side) or _is_transcript(record.get("prompt")) for side in sides
    )


def _rows(record: Record) -> Iterator[Row]:
    query, chosen = question_and_answer(_turns(_transcript(record, "chosen")))
    other_query, rejected = question_and_answer(_turns(_transcript(record, "rejected")))
    if query != other_query:
        raise ValueError("the two transcripts differ before the last answer")
    yield {"query": query, "response_chosen": chosen, "response_rejected": rejected}


def _is_transcript(text: object) -> bool:
    return isinstance(text, str) and text.startswith("\n\nHuman:")


def _transcript(record: Record, name: str) -> str:
    side: str = record[name]
    return side if _is_transcript(side) else record["prompt"] + side


def _turns(transcript: str) -> list[Turn]:
    _, *parts = _SPEAKER.split(transcript)
    speakers, texts = parts[::2], parts[1::2]
    return [
        ("user" if speaker == "Human" else "assistant", text.strip())
        for speaker, text in zip(speakers, texts, strict=True)
    ]


TRANSCRIPTS = RecordFormat("HH-RLHF", _recognises, _rows)
