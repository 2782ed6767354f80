"""Why a row is refused."""

from enum import StrEnum


class Reason(StrEnum):
    """The codes in `feedback_quarantine.reason`. The SQL of ingestion names the same ones."""

    INVALID_JSON = "invalid_json"
    INVALID_UTF8 = "invalid_utf8"
    ROW_TOO_LONG = "row_too_long"
    RAGGED_ROW = "ragged_row"
    UNKNOWN_SHAPE = "unknown_shape"
    MISSING_TEXT = "missing_text"
    NOT_TEXT = "not_text"
    TEXT_TOO_LONG = "text_too_long"
    INVALID_RATING = "invalid_rating"
    INVALID_THUMBS = "invalid_thumbs"
    INVALID_TIMESTAMP = "invalid_timestamp"
    INVALID_VERDICT = "invalid_verdict"
    SEVERAL_KINDS = "several_kinds"
    INVALID_ID = "invalid_id"
    ID_CONFLICT = "id_conflict"
    NO_SIGNAL = "no_signal"
    SAME_RESPONSES = "same_responses"
    ERASED = "erased"
