"""One row of feedback: accepted and typed, or refused with a reason code."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from galileu_pipeline.feedback.cleaning import TextCleaner

MAX_TEXT_CHARS = 100_000


class Reason(StrEnum):
    """Why a row went to `feedback_quarantine`."""

    MISSING_TEXT = "missing_text"
    NOT_TEXT = "not_text"
    INVALID_UTF8 = "invalid_utf8"
    TEXT_TOO_LONG = "text_too_long"
    INVALID_RATING = "invalid_rating"
    INVALID_THUMBS = "invalid_thumbs"
    INVALID_TIMESTAMP = "invalid_timestamp"
    NO_SIGNAL = "no_signal"
    SAME_RESPONSES = "same_responses"


class RefusedRowError(ValueError):
    """A row that cannot be used; `reason` is the code, the message is for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


Row = Mapping[str, object]


@dataclass(frozen=True)
class RowValidator:
    """Turns rows of the guide's tables into typed rows of the warehouse, without identity and position."""

    cleaner: TextCleaner

    def vote(self, row: Row) -> dict[str, object]:
        """A row of `feedback`: a rating, a thumb or a comment on one answer.

        The score is (rating - 1) / 4, or 1 and 0 for a thumb; the rating wins where both are given.

        Raises:
            RefusedRowError: with the reason code.
        """
        query, response = self._text(row, "query"), self._text(row, "response")
        rating, thumbs_up = _rating(row.get("rating")), _thumbs(row.get("thumbs_up"))
        comment = self._optional_text(row, "comment")
        if rating is None and thumbs_up is None and comment is None:
            raise RefusedRowError(Reason.NO_SIGNAL, "no rating, no thumb and no comment")
        score = (rating - 1) / 4 if rating is not None else None if thumbs_up is None else float(thumbs_up)
        return {
            **self._common(row, query),
            "response": response,
            "rating": rating,
            "thumbs_up": thumbs_up,
            "score": score,
            "comment": comment,
            "source_documents": _json(row.get("source_documents")),
            "repaired": query != row["query"] or response != row["response"] or comment != row.get("comment"),
        }

    def choice(self, row: Row) -> dict[str, object]:
        """A row of `preference_pairs`: of two answers side by side, the chosen one and the rejected one.

        Raises:
            RefusedRowError: with the reason code.
        """
        query = self._text(row, "query")
        chosen, rejected = self._text(row, "response_chosen"), self._text(row, "response_rejected")
        if chosen == rejected:
            raise RefusedRowError(Reason.SAME_RESPONSES, "response_chosen and response_rejected are the same text")
        return {
            **self._common(row, query),
            "chosen": chosen,
            "rejected": rejected,
            "reason": self._optional_text(row, "reason"),
            "repaired": (query, chosen, rejected) != (row["query"], row["response_chosen"], row["response_rejected"]),
        }

    def _common(self, row: Row, query: str) -> dict[str, object]:
        return {
            "occurred_at": _timestamp(row.get("timestamp")),
            "session_id": _identifier(row.get("session_id")),
            "user_id": _identifier(row.get("user_id")),
            "query": query,
            "query_key": self.cleaner.query_key(query),
            "metadata": _json(row.get("metadata")),
        }

    def _text(self, row: Row, column: str) -> str:
        text = self._optional_text(row, column)
        if text is None:
            raise RefusedRowError(Reason.MISSING_TEXT, f"{column} is empty")
        return text

    def _optional_text(self, row: Row, column: str) -> str | None:
        value = row.get(column)
        if value is None:
            return None
        if not isinstance(value, str):
            raise RefusedRowError(Reason.NOT_TEXT, f"{column} is {type(value).__name__}, not text")
        if len(value) > MAX_TEXT_CHARS:
            raise RefusedRowError(Reason.TEXT_TOO_LONG, f"{column} has {len(value):,} characters")
        if not value.isascii() and not _encodable(value):
            raise RefusedRowError(Reason.INVALID_UTF8, f"{column} is not valid UTF-8")
        cleaned = self.cleaner.text(value)
        return cleaned if cleaned.strip() else None


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _rating(value: object) -> float | None:
    if value is None or value == "":
        return None
    try:
        rating = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        rating = math.nan
    if not 1 <= rating <= 5:
        raise RefusedRowError(Reason.INVALID_RATING, f"rating is {value!r}, not a number from 1 to 5")
    return rating


def _thumbs(value: object) -> bool | None:
    if value is None or value == "":
        return None
    if value in (0, 1):
        return bool(value)
    named = {"true": True, "up": True, "1": True, "false": False, "down": False, "0": False}
    if isinstance(value, str) and value.lower() in named:
        return named[value.lower()]
    raise RefusedRowError(Reason.INVALID_THUMBS, f"thumbs_up is {value!r}, not true or false")


def _timestamp(value: object) -> datetime | None:
    """UTC without a zone, as the warehouse keeps it; a time without a zone is taken as UTC."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, int | float):
            moment = datetime.fromtimestamp(value, UTC)
        else:
            moment = datetime.fromisoformat(str(value))
            moment = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError, OSError):
        raise RefusedRowError(Reason.INVALID_TIMESTAMP, f"timestamp is {value!r}, not ISO 8601") from None
    return moment.replace(tzinfo=None)


def _identifier(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _json(value: object) -> str | None:
    """JSON text. A column that is not valid JSON is kept as a JSON string: a good vote is not lost over it."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, default=str)
    try:
        json.loads(value)
    except ValueError:
        return json.dumps(value, ensure_ascii=True)
    return value
