"""What people click, into SQLite: nothing acknowledged is lost, nothing is stored twice.

from galileu_pipeline.feedback.collection.collector import FeedbackCollector

collector = FeedbackCollector()
collector.add_feedback("Quem é você?", "Sou Galileu.", rating=5, user_id="ana")
print(collector.get_feedback_stats())
"""

import json
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError, InputError
from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms, known
from galileu_pipeline.feedback.statements import sql
from galileu_pipeline.feedback.times import is_plausible
from galileu_pipeline.files import replace_file

MAX_TEXT_CHARS = 100_000
MAX_COMMENT_CHARS = 4_000
BUSY_TIMEOUT_S = 60.0

Verdict = Literal["left", "right", "tie", "both_bad"]
VERDICTS: tuple[Verdict, ...] = ("left", "right", "tie", "both_bad")
CORRECTION = "correction"

_ADDED_COLUMNS = {
    "feedback": ("session_id", "source_documents", "metadata", "feedback_id", "user_id"),
    "preference_pairs": ("reason", "metadata", "feedback_id", "session_id", "user_id"),
}
Row = dict[str, object]


class FeedbackCollector:
    """The chatbot's feedback file, in WAL mode with full synchronisation.

    When an `add_` method returns, the event is on disk. Many processes and threads may write at once: a connection
    lives for one call. User and session ids are stored as keyed hashes only.
    """

    def __init__(self, path: Path | str | None = None, pseudonyms: Pseudonyms | None = None) -> None:
        """Open or make the file.

        Args:
            path: the SQLite file; `feedback/feedback.db` of the data folder where it is None. A file with the guide's
                tables gets the columns it lacks, all of them nullable.
            pseudonyms: with which ids are hashed; the data folder's own where it is None.

        Raises:
            InputError: the file is not SQLite, or has other tables of these names.
        """
        data = DataFolder.from_environment()
        self.path = Path(path) if path is not None else data.feedback_db
        self._pseudonyms = pseudonyms or Pseudonyms.of_folder(data)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.path} cannot be used to collect feedback: {error}.") from error

    def add_feedback(
        self,
        query: str,
        response: str,
        *,
        rating: int | None = None,
        thumbs_up: bool | None = None,
        comment: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        source_documents: Sequence[object] | None = None,
        metadata: Mapping[str, object] | None = None,
        feedback_id: str | None = None,
        timestamp: datetime | None = None,
    ) -> str:
        """Store a vote on one answer. The last vote of a person on an answer stands; earlier ones are its history.

        Args:
            rating: 1 to 5.
            thumbs_up: True up, False down.
            user_id: whoever voted; without it, the session counts as a person.
            feedback_id: made by the client; sending the same event again changes nothing.
            timestamp: when it happened, in UTC if it has no time zone; now where it is None.

        Returns:
            The event's id.

        Raises:
            InputError: a text is empty, too long or not Unicode, the rating is not 1 to 5, there is nothing but the
                answer, or the id is another event's.
            GalileuError: the file was locked for a minute, or the disk is full; nothing was stored.
        """
        if rating is not None and (isinstance(rating, bool) or rating not in range(1, 6)):
            raise InputError(f"rating is {rating!r}; it must be a whole number from 1 to 5.")
        if rating is None and thumbs_up is None and not (comment and comment.strip()):
            raise InputError("Give a rating, a thumb or a comment.")
        row = {
            **self._common(query, session_id, user_id, metadata, feedback_id, timestamp),
            "response": _text("response", response),
            "rating": None if rating is None else int(rating),
            "thumbs_up": None if thumbs_up is None else bool(thumbs_up),
            "comment": _comment("comment", comment),
            "source_documents": _json(list(source_documents)) if source_documents is not None else None,
        }
        return self._store({"feedback": row})

    def add_preference(
        self,
        query: str,
        response_chosen: str,
        response_rejected: str,
        *,
        reason: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        feedback_id: str | None = None,
        timestamp: datetime | None = None,
    ) -> str:
        """Store that of two answers one is preferred. Arguments, result and errors as for `add_feedback`."""
        row = self._preference(
            self._common(query, session_id, user_id, metadata, feedback_id, timestamp),
            response_chosen,
            response_rejected,
            reason,
        )
        return self._store({"preference_pairs": row})

    def add_correction(self, query: str, response: str, better_response: str, **details: Any) -> str:
        """Store a better answer that a person wrote: it is preferred to the original. `details` as `add_preference`."""
        return self.add_preference(query, better_response, response, reason=CORRECTION, **details)

    def add_comparison(
        self,
        query: str,
        response_left: str,
        response_right: str,
        verdict: Verdict,
        *,
        model_left: str | None = None,
        model_right: str | None = None,
        reason: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        feedback_id: str | None = None,
        timestamp: datetime | None = None,
    ) -> str:
        """Store a vote between two answers side by side; a decided one is also a preference, under the same id.

        Args:
            verdict: left, right, tie or both_bad.
            model_left: id of the model that gave the left answer; `model_right` likewise.

        Other arguments, result and errors as for `add_feedback`.
        """
        if verdict not in VERDICTS:
            raise InputError(f"verdict is {verdict!r}; it must be one of {', '.join(VERDICTS)}.")
        common = self._common(query, session_id, user_id, metadata, feedback_id, timestamp)
        rows = {
            "comparisons": {
                **common,
                "response_left": _text("response_left", response_left),
                "response_right": _text("response_right", response_right),
                "model_left": model_left,
                "model_right": model_right,
                "verdict": verdict,
                "reason": _comment("reason", reason),
            }
        }
        if verdict in ("left", "right"):
            sides = (response_left, response_right) if verdict == "left" else (response_right, response_left)
            rows["preference_pairs"] = self._preference(common, *sides, reason)
        return self._store(rows)

    def get_feedback_stats(self) -> dict[str, Any]:
        """Counts, over standing votes where nothing else is said.

        Returns:
            total_feedback, thumbs_up, thumbs_down, ratings, average_rating (1 to 5, None without ratings), comments,
            questions, people, first_at, last_at (ISO 8601); events (votes with the superseded ones),
            preference_pairs, comparisons; rating_distribution {1..5: votes}, verdicts {verdict: votes}, and by_day
            [(day, votes, comparisons)].
        """
        with self._connect() as connection:
            cursor = connection.execute(sql("collection/count_collected"))
            stats: dict[str, Any] = dict(
                zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True)
            )
            ratings = dict(connection.execute(sql("collection/count_collected_ratings")).fetchall())
            verdicts = dict(connection.execute(sql("collection/count_collected_verdicts")).fetchall())
            stats["by_day"] = [tuple(row) for row in connection.execute(sql("collection/count_collected_days"))]
        stats["rating_distribution"] = {rating: ratings.get(rating, 0) for rating in range(1, 6)}
        stats["verdicts"] = {verdict: verdicts.get(verdict, 0) for verdict in VERDICTS}
        return stats

    def thumbs(self, model_id: str, most: int) -> list[bool]:
        """The standing thumbs, up or down, on answers whose `metadata` name this `model`: the newest, oldest first."""
        rows = self._rows("collection/select_thumbs", {"model": model_id, "most": most})
        return [bool(row["thumbs_up"]) for row in rows]

    def last_vote(self) -> int:
        """A number that is another one as soon as there is a new vote on an answer; 0 before the first."""
        with self._connect() as connection:
            return int(connection.execute("SELECT coalesce(max(rowid), 0) FROM feedback").fetchone()[0])

    def export_for_training(self, path: Path | str, min_rating: int = 4) -> int:
        """Write well-rated answers as JSON lines {prompt, completion, query, response, rating, ...}; TRL's SFTTrainer
        takes the first two. Texts are as people wrote them: `galileu export` masks personal data, this does not.

        Returns:
            The number of rows.
        """
        rows = [
            {"prompt": row["query"], "completion": row["response"], **row}
            for row in self._rows("collection/select_training_examples", {"min_rating": min_rating})
        ]
        replace_file(Path(path), "".join(_json(row) + "\n" for row in rows))
        return len(rows)

    def export_preference_pairs(self, path: Path | str) -> int:
        """Write the preferences as a JSON list of {prompt, chosen, rejected, reason, timestamp}, as TRL's DPOTrainer
        and RewardTrainer take them. Texts are as people wrote them.

        Returns:
            The number of pairs.
        """
        rows = [
            {
                "prompt": row["query"],
                "chosen": row["response_chosen"],
                "rejected": row["response_rejected"],
                "reason": row["reason"],
                "timestamp": row["timestamp"],
            }
            for row in self._rows("collection/select_collected_pairs", {})
        ]
        replace_file(Path(path), json.dumps(rows, ensure_ascii=False, indent=2) + "\n")
        return len(rows)

    def _common(
        self,
        query: str,
        session_id: str | None,
        user_id: str | None,
        metadata: Mapping[str, object] | None,
        feedback_id: str | None,
        timestamp: datetime | None,
    ) -> Row:
        return {
            "timestamp": (_moment(timestamp) if timestamp else datetime.now(UTC)).isoformat(),
            "session_id": self._person(session_id),
            "user_id": self._person(user_id),
            "query": _text("query", query),
            "metadata": _json(dict(metadata)) if metadata is not None else None,
            "feedback_id": _text("feedback_id", feedback_id) if feedback_id else str(uuid.uuid4()),
        }

    def _person(self, identifier: str | None) -> str | None:
        named = known(identifier) if identifier else None
        return self._pseudonyms.of(named) if named else None

    @staticmethod
    def _preference(common: Row, chosen: str, rejected: str, reason: str | None) -> Row:
        if chosen.strip() == rejected.strip():
            raise InputError("The two answers are the same text; there is nothing to prefer.")
        return {
            **common,
            "response_chosen": _text("response_chosen", chosen),
            "response_rejected": _text("response_rejected", rejected),
            "reason": _comment("reason", reason),
        }

    def _store(self, rows: Mapping[str, Row]) -> str:
        """Insert one row a table, all or none; rows of an id that is there already must be the same event."""
        feedback_id = ""
        with self._connect() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table, row in rows.items():
                feedback_id = str(row["feedback_id"])
                # No unique index does this: an older file may well have an id twice.
                if not self._is_there(connection, table, row):
                    columns = ", ".join(row)  # names from this module, never from outside
                    places = ", ".join(f":{name}" for name in row)
                    connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", row)
            connection.execute("COMMIT")
        return feedback_id

    @staticmethod
    def _is_there(connection: sqlite3.Connection, table: str, row: Row) -> bool:
        """Whether the event is stored already. The caller holds the write lock, so nobody stores it meanwhile.

        Raises:
            InputError: its id is another event's.
        """
        stored = connection.execute(f"SELECT * FROM {table} WHERE feedback_id = :feedback_id", row).fetchone()
        if stored is None:
            return False
        differing = [name for name, value in row.items() if name != "timestamp" and stored[name] != value]
        if differing:
            raise InputError(
                f"feedback_id {row['feedback_id']} belongs to another event, with another {', '.join(differing)}. "
                "Make a new id for each event."
            )
        return True

    def _rows(self, statement: str, parameters: Mapping[str, object]) -> list[Row]:
        with self._connect() as connection:
            return [dict(row) for row in connection.execute(sql(statement), parameters)]

    def _prepare(self) -> None:
        with self._connect() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in _split(sql("collection/create_collector_schema")):
                connection.execute(statement)
            for table, columns in _ADDED_COLUMNS.items():
                there = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
                for column in columns:
                    if column not in there:
                        connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} TEXT")
            for statement in _split(sql("collection/create_collector_indexes")):
                connection.execute(statement)
            connection.execute("COMMIT")

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
        except sqlite3.OperationalError as error:
            raise GalileuError(f"{self.path} could not be used, nothing was stored: {error}. Try again.") from error
        finally:
            connection.close()  # rolls back what was not committed


def _split(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would commit the transaction around them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _moment(timestamp: datetime) -> datetime:
    moment = (timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)).astimezone(UTC)
    if not is_plausible(moment):
        raise InputError(f"timestamp is {timestamp}; nobody voted then. Leave it out if it is now.")
    return moment


def _text(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} is {type(value).__name__}; it must be text.")
    if not value.strip():
        raise InputError(f"{name} is empty.")
    return _storable(name, value, MAX_TEXT_CHARS)


def _comment(name: str, value: str | None) -> str | None:
    return _storable(name, value, MAX_COMMENT_CHARS) if value and value.strip() else None


def _storable(name: str, value: str, max_chars: int) -> str:
    if len(value) > max_chars:
        raise InputError(f"{name} has {len(value):,} characters; at most {max_chars:,} are kept.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{name} is not valid Unicode text: {error.reason} at character {error.start}.") from error
    return value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
