"""The guide's shape of feedback: its tables, and the fields that a row may have."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceTable:
    """A table of the guide's shape: the columns it must have, and those it may have."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.required + self.optional


EVENT = ("feedback_id", "timestamp", "session_id", "user_id", "metadata")
VOTES = SourceTable(
    name="feedback",
    required=("query", "response"),
    optional=(*EVENT, "rating", "thumbs_up", "comment", "source_documents"),
)
CHOICES = SourceTable(
    name="preference_pairs",
    required=("query", "response_chosen", "response_rejected"),
    optional=(*EVENT, "reason"),
)
COMPARISONS = SourceTable(
    name="comparisons",
    required=("query", "response_left", "response_right", "verdict"),
    optional=(*EVENT, "model_left", "model_right", "reason"),
)
TABLES = (VOTES, CHOICES, COMPARISONS)
FIELD_NAMES = tuple(dict.fromkeys(column for table in TABLES for column in table.columns))
