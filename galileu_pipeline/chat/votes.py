"""What a person thinks of an answer, as events for the collector."""

import random
import uuid
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from galileu_pipeline.feedback.collection.collector import FeedbackCollector, Verdict

APP = "galileu chat"
Side = TypeVar("Side")


@dataclass(frozen=True)
class Person:
    """Whoever sits at the browser: an id that stays, and one of this page."""

    user_id: str
    session_id: str


@dataclass(frozen=True)
class RatedAnswer:
    """An answer on the page, and what the person has said about it so far.

    Each stored event carries all of it, because the last event of a person on an answer stands for the earlier ones.
    """

    query: str
    response: str
    model_id: str
    answer_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    events: int = 0
    thumbs_up: bool | None = None
    rating: int | None = None
    comment: str | None = None

    def with_vote(self, **vote: Any) -> "RatedAnswer":
        """The same answer with another thumb, rating or comment; itself if that changes nothing."""
        changed = replace(self, **vote)
        return self if changed == self else replace(changed, events=self.events + 1)


@dataclass(frozen=True)
class ComparedAnswers:
    """Two models' answers to one question, on sides that chance has chosen."""

    query: str
    left: RatedAnswer
    right: RatedAnswer
    comparison_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    verdict: Verdict | None = None


def shuffled(one: Side, other: Side) -> tuple[Side, Side]:
    """Both in random order, so that nobody learns which side is which."""
    return (one, other) if random.random() < 0.5 else (other, one)


@dataclass(frozen=True)
class VoteBox:
    """Stores votes. An event has the same id whenever it is sent again, so a double click is stored once."""

    collector: FeedbackCollector

    def vote(self, answer: RatedAnswer, person: Person) -> None:
        """Store the state of `answer`, after `with_vote`."""
        if not answer.events:
            return
        self.collector.add_feedback(
            answer.query,
            answer.response,
            rating=answer.rating,
            thumbs_up=answer.thumbs_up,
            comment=answer.comment,
            user_id=person.user_id,
            session_id=person.session_id,
            metadata={"app": APP, "model": answer.model_id},
            feedback_id=f"{answer.answer_id}-{answer.events}",
        )

    def correct(self, answer: RatedAnswer, better: str, person: Person) -> None:
        """Store a better answer that the person wrote."""
        self.collector.add_correction(
            answer.query,
            answer.response,
            better,
            user_id=person.user_id,
            session_id=person.session_id,
            metadata={"app": APP, "model": answer.model_id},
            feedback_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{answer.answer_id}:{better}")),
        )

    def compare(self, compared: ComparedAnswers, verdict: Verdict, person: Person) -> None:
        """Store a vote between two answers."""
        self.collector.add_comparison(
            compared.query,
            compared.left.response,
            compared.right.response,
            verdict,
            model_left=compared.left.model_id,
            model_right=compared.right.model_id,
            user_id=person.user_id,
            session_id=person.session_id,
            metadata={"app": APP},
            feedback_id=compared.comparison_id,
        )
