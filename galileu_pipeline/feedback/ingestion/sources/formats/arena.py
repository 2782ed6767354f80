"""LMSYS's arena: FastChat's own logs, and the battles made of them. IP addresses are never taken along."""

from collections.abc import Iterator, Mapping
from typing import Any

from galileu_pipeline.feedback.ingestion.sources.formats.conversations import Turn, question_and_answer, turns
from galileu_pipeline.feedback.ingestion.sources.formats.record_format import NoFeedbackError, Record, RecordFormat, Row

_VOTES = {"leftvote": "left", "rightvote": "right", "tievote": "tie", "bothbad_vote": "both_bad"}
_THUMBS = {"upvote": True, "downvote": False}
_WINNERS = {"model_a": "left", "model_b": "right", "tie": "tie", "tie (bothbad)": "both_bad", "both_bad": "both_bad"}


def _is_log(record: Record) -> bool:
    return record.keys() >= {"tstamp", "type"} and not record.keys().isdisjoint({"state", "states"})


def _log_rows(record: Record) -> Iterator[Row]:
    kind = record["type"]
    if kind in _VOTES:
        left, right = record["states"]
        yield {
            **_both(_turns_of_state(left), _turns_of_state(right)),
            "verdict": _VOTES[kind],
            "model_left": left.get("model_name"),
            "model_right": right.get("model_name"),
            "session_id": left.get("conv_id"),
            "timestamp": record["tstamp"],
        }
    elif kind in _THUMBS:
        state = record["state"]
        query, response = question_and_answer(_turns_of_state(state))
        yield {
            "query": query,
            "response": response,
            "thumbs_up": _THUMBS[kind],
            "session_id": state.get("conv_id"),
            "timestamp": record["tstamp"],
            "metadata": {"model": state.get("model_name") or record.get("model")},
        }
    else:
        raise NoFeedbackError(f"a log entry of the type {str(kind)[:20]}, no vote")


def _turns_of_state(state: Mapping[str, Any]) -> list[Turn]:
    """The messages behind the examples that a template puts first; the last may still be waited for."""
    user, _ = state["roles"]
    messages = state["messages"][state.get("offset", 0) :]
    return [("user" if role == user else "assistant", text) for role, text in messages if isinstance(text, str)]


def _is_battle(record: Record) -> bool:
    # Answers that stand in columns of their own are read by those.
    return record.keys() >= {"model_a", "model_b", "winner"} and "response_a" not in record


def _battle_rows(record: Record) -> Iterator[Row]:
    if not record.get("conversation_a") or not record.get("conversation_b"):
        raise NoFeedbackError("a battle without its conversations")
    turn = record.get("turn")
    left, right = (turns(record[side])[: 2 * turn if turn else None] for side in ("conversation_a", "conversation_b"))
    yield {
        **_both(left, right),
        "verdict": _WINNERS[record["winner"]],
        "model_left": record["model_a"],
        "model_right": record["model_b"],
        "feedback_id": _id_of_battle(record),
        "user_id": record.get("judge"),
        "timestamp": record.get("tstamp") or record.get("timestamp"),
    }


def _id_of_battle(record: Record) -> str | None:
    """Judgements of MT-bench name the question, and the turn judged, where battles of the arena have an id."""
    given = record.get("question_id") or record.get("id")
    if given is None or "turn" not in record:
        return given
    return "|".join(str(record.get(name)) for name in ("question_id", "model_a", "model_b", "judge", "turn"))


def _both(left: list[Turn], right: list[Turn]) -> Row:
    """The two answers that were voted on: the last ones. What was said before is told as the left side has it."""
    query, response_left = question_and_answer(left)
    other_query, response_right = question_and_answer(right)
    if left[-2] != right[-2]:
        raise ValueError(f"the two sides answer different questions: {query[:40]!r} and {other_query[:40]!r}")
    return {"query": query, "response_left": response_left, "response_right": response_right}


LOGS = RecordFormat("FastChat arena logs", _is_log, _log_rows)
BATTLES = RecordFormat("LMSYS arena battles", _is_battle, _battle_rows)
