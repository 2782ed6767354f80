"""What people say of two models side by side, which is the verdict that a reward model only stands in for."""

from collections import Counter

import duckdb
from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.evaluation.sequences import confidence_sequence, more_needed
from galileu_pipeline.evaluation.statistics import CONFIDENCE
from galileu_pipeline.feedback.statements import sql


class PeoplesVerdict(BaseModel):
    """Votes between two models. The interval may be looked at after every vote (`sequences`)."""

    model_config = ConfigDict(frozen=True)

    one: str
    other: str
    votes: int
    wins: int = Field(description="votes for `one`")
    losses: int = Field(description="votes for `other`")
    ties: int
    both_bad: int
    win_rate: float | None = Field(description="of `one`; what decides for neither counts half; None without votes")
    low: float
    high: float
    more_votes: int | None = Field(description="that would about decide, if they are as those so far; None: very many")

    @property
    def better(self) -> str | None:
        """The model that people prefer, if that is certain."""
        if self.low > 0.5:
            return self.one
        return self.other if self.high < 0.5 else None


def peoples_verdict(
    connection: duckdb.DuckDBPyConnection, one: str, other: str, confidence: float = CONFIDENCE
) -> PeoplesVerdict:
    """What the warehouse has of votes between the models of these ids, whichever stood left."""
    rows = connection.execute(sql("analytics/select_votes_between"), {"one": one, "other": other}).fetchall()
    points = [float(point) for point, _ in rows]
    verdicts = Counter(verdict for _, verdict in rows)
    low, high = confidence_sequence(points, confidence)
    return PeoplesVerdict(
        one=one,
        other=other,
        votes=len(points),
        wins=points.count(1.0),
        losses=points.count(0.0),
        ties=verdicts["tie"],
        both_bad=verdicts["both_bad"],
        win_rate=round(sum(points) / len(points), 6) if points else None,
        low=round(low, 6),
        high=round(high, 6),
        more_votes=more_needed(points, confidence),
    )
