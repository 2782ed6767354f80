"""Open WebUI's export of feedback: a thumb, at times a rating from 1 to 10, and the whole chat as it was."""

from collections.abc import Iterator, Mapping
from typing import Any

from galileu_pipeline.feedback.ingestion.sources.formats.conversations import question_and_answer, turns
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import NoFeedbackError, Record, RecordFormat, Row


def _recognises(record: Record) -> bool:
    return record.keys() >= {"data", "meta", "snapshot"} and isinstance(record["data"], Mapping)


def _rows(record: Record) -> Iterator[Row]:
    data, meta = record["data"], record["meta"]
    thumb, rating = data.get("rating"), (data.get("details") or {}).get("rating")
    if thumb is None and rating is None:
        raise NoFeedbackError("nobody rated")
    if not record.get("snapshot"):
        raise NoFeedbackError("exported without the chat")
    query, response = question_and_answer(turns(_thread(record["snapshot"]["chat"]["chat"], meta["message_id"])))
    yield {
        "feedback_id": record.get("id"),
        "timestamp": record.get("updated_at") or record.get("created_at"),
        "user_id": record.get("user_id"),
        "session_id": meta.get("chat_id"),
        "query": query,
        "response": response,
        "rating": rating,
        "thumbs_up": None if thumb is None else int(thumb) > 0,
        "comment": data.get("comment"),
        "metadata": {"model": data.get("model_id"), "reason": data.get("reason"), "tags": data.get("tags")},
    }


def _thread(chat: Mapping[str, Any], message_id: str) -> list[Mapping[str, Any]]:
    """The messages from the first one to the one that was rated; other branches of the chat are left out."""
    messages = chat["history"]["messages"]
    thread = []
    current = message_id
    while current:
        thread.append(messages[current])
        if len(thread) > len(messages):
            raise ValueError("the messages go round in a circle")
        current = messages[current].get("parentId")
    return thread[::-1]


OPEN_WEBUI = RecordFormat("Open WebUI feedback", _recognises, _rows, scale="1-10")
