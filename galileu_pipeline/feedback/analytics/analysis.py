"""What the feedback says, in numbers. The views in `sql/create_analytics_views.sql` are the definitions."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

import duckdb
import krippendorff
import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.analytics.leaderboard import Leaderboard, leaderboard
from galileu_pipeline.feedback.statements import sql

# The library holds several arrays of answers x values x values; beyond this many cells the closed form takes over.
_MAX_COINCIDENCE_CELLS = 2_000_000

# What DuckDB gives as a UUID; in analyses of earlier versions it was a text.
QueryKey = Annotated[str, BeforeValidator(str)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Totals(_Frozen):
    """How much feedback there is, in rows unless said otherwise."""

    votes: int = Field(description="rows of `feedback`: ratings, thumbs and comments")
    ratings: int = Field(description="standing votes (the last of a person on an answer) with a rating")
    thumbs: int = Field(description="standing votes with a thumb")
    comments: int = Field(description="standing votes with a comment")
    choices: int = Field(description="one answer preferred to another: decided side by side, or corrected")
    corrections: int = Field(description="choices of a better answer that a person wrote")
    comparisons: int = Field(description="votes between two answers side by side, ties among them")
    raters: int = Field(description="people known by user id, or else by session id")
    questions: int = Field(description="different questions (query keys)")
    answers: int = Field(description="different answers: pairs of query key and response")
    quarantined: int = Field(description="rows refused at ingestion")
    undated: int = Field(description="votes and choices without a time; no day counts them")
    first_at: AwareDatetime | None = Field(description="time of the earliest vote or choice, UTC")
    last_at: AwareDatetime | None = Field(description="time of the latest vote or choice, UTC")


class Day(_Frozen):
    """What came on one day (UTC)."""

    day: date
    votes: int = Field(description="rows of `feedback`")
    choices: int = Field(description="side-by-side choices")
    ratings: int = Field(description="votes with a rating")
    mean_rating: float | None = Field(description="1 to 5; None without a rating")


class Thumbs(_Frozen):
    """Thumbs up and down."""

    up: int
    down: int
    share_up: float | None = Field(description="0 to 1; None without a thumb")


class RatingCount(_Frozen):
    """One bar of the rating distribution."""

    rating: int = Field(description="1 to 5; a fractional rating counts for the nearest, halves for the upper")
    ratings: int


class CommonQuestion(_Frozen):
    """A question by how often feedback was given on it."""

    query_key: QueryKey
    question: str = Field(description="its most frequent wording; untrusted text")
    uses: int = Field(description="votes and side-by-side choices")
    mean_score: float | None = Field(description="0 to 1; None where nobody scored an answer")


class WorstQuestion(_Frozen):
    """A question whose answers people dislike. A rater's last vote on an answer replaces the earlier ones."""

    query_key: QueryKey
    question: str = Field(description="its most frequent wording; untrusted text")
    votes: int = Field(description="scored votes on all its answers")
    bad_votes: int = Field(description="votes with a score below 0.5")
    bad_share: float = Field(description="bad_votes / votes, 0 to 1")
    bad_share_lower: float = Field(description="lower end of the 95 % Wilson score interval of bad_share (Wilson 1927)")
    mean_score: float = Field(description="0 to 1")


class Rater(_Frozen):
    """How strict one person is. A rater's last vote on an answer replaces the earlier ones."""

    rater: str = Field(description="user id, or else session id; untrusted text")
    votes: int = Field(description="scored votes")
    mean_score: float = Field(description="0 to 1")
    compared_votes: int = Field(description="votes on answers that somebody else scored too")
    mean_deviation: float | None = Field(
        description="mean of own score less the others' mean on the same answer, -1 (strict) to 1; None if not compared"
    )
    bad_share: float = Field(description="share of votes with a score below 0.5, 0 to 1")


class Agreement(_Frozen):
    """How far people agree about the same answer."""

    alpha: float | None = Field(
        description="Krippendorff's alpha, interval metric on ratings: 1 agreement, 0 chance, less worse than chance; "
        "None where it is not defined: no answer with two ratings, or all ratings equal"
    )
    answers: int = Field(description="answers rated by two people or more")
    ratings: int = Field(description="ratings on those answers")


class ComplaintWord(_Frozen):
    """A word in the comments of bad votes."""

    word: str = Field(description="lower case, accents kept; untrusted text")
    comments: int = Field(description="comments of votes with a score below 0.5 in which it stands")


class Duel(_Frozen):
    """Two models side by side."""

    model: str = Field(description="id of one model; untrusted text")
    rival: str = Field(description="id of the other; untrusted text")
    votes: int
    won: int = Field(description="votes for `model`")
    lost: int = Field(description="votes for `rival`")
    ties: int
    both_bad: int


class FeedbackAnalytics(_Frozen):
    """All analytics of the feedback at one moment. Every sequence has a fixed order."""

    min_votes: int = Field(description="least number of votes for a question among the worst, and for a rater")
    top: int = Field(description="length of the lists of questions and words, and of each end of the raters")
    totals: Totals
    quarantined_by_reason: dict[str, int] = Field(description="refused rows by reason code, most frequent first")
    by_day: tuple[Day, ...] = Field(description="days with feedback, oldest first")
    thumbs: Thumbs
    rating_distribution: tuple[RatingCount, ...] = Field(description="five counts, from rating 1 to 5")
    agreement: Agreement
    common_questions: tuple[CommonQuestion, ...] = Field(description="most common first")
    worst_questions: tuple[WorstQuestion, ...] = Field(description="highest bad_share_lower first")
    raters: tuple[Rater, ...] = Field(
        description="the `top` strictest and the `top` most lenient, strictest first; those with too few compared "
        "votes at the end, by mean score"
    )
    complaint_words: tuple[ComplaintWord, ...] = Field(description="most frequent first")
    duels: tuple[Duel, ...] = Field(description="models side by side, most votes first")
    leaderboard: Leaderboard | None = Field(None, description="all of them by strength; None without such votes")
    masked_by_kind: dict[str, int] = Field(description="personal identifiers masked in texts, most frequent first")


def analyse(connection: duckdb.DuckDBPyConnection, min_votes: int = 3, top: int = 10) -> FeedbackAnalytics:
    """Create the analytics views in the warehouse and read them.

    Args:
        connection: to a warehouse that has its schema (`Warehouse.open`).
        min_votes: least number of votes for a question to be among the worst, and for a rater to be listed.
        top: how many questions and words are listed, and how many raters at each end.

    Raises:
        InputError: `min_votes` or `top` is below 1.
    """
    for name, value in (("min_votes", min_votes), ("top", top)):
        if value < 1:
            raise InputError(f"{name} is {value}; the analytics need at least 1.")
        connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
    connection.execute(sql("analytics/create_analytics_views"))

    def view(name: str, limit: int | None = None) -> list[dict[str, Any]]:
        relation = connection.view(f"analytics_{name}")
        return _rows(relation if limit is None else relation.limit(limit))

    return FeedbackAnalytics(
        min_votes=min_votes,
        top=top,
        totals=_totals(view("totals")[0]),
        quarantined_by_reason={row["reason"]: row["quarantined"] for row in view("quarantine")},
        by_day=tuple(Day(**row) for row in view("daily_volume")),
        thumbs=Thumbs(**view("thumbs")[0]),
        rating_distribution=tuple(RatingCount(**row) for row in view("rating_distribution")),
        agreement=_agreement(connection),
        common_questions=tuple(CommonQuestion(**row) for row in view("common_questions", top)),
        worst_questions=tuple(WorstQuestion(**row) for row in view("worst_questions", top)),
        raters=tuple(Rater(**row) for row in _rows(connection.sql(sql("analytics/select_extreme_raters")))),
        complaint_words=tuple(ComplaintWord(**row) for row in view("complaint_words", top)),
        duels=tuple(Duel(**row) for row in view("duels", top)),
        leaderboard=leaderboard(connection),
        masked_by_kind=dict(connection.execute(sql("ingestion/count_masked")).fetchall()),
    )


def _rows(relation: duckdb.DuckDBPyRelation) -> list[dict[str, Any]]:
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def _totals(row: dict[str, Any]) -> Totals:
    return Totals(**{**row, "first_at": _in_utc(row["first_at"]), "last_at": _in_utc(row["last_at"])})


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _agreement(connection: duckdb.DuckDBPyConnection) -> Agreement:
    cells = connection.sql(sql("analytics/select_rating_matrix")).fetchnumpy()
    answer, value, ratings = (np.asarray(cells[name], dtype=np.int64) for name in ("answer", "value", "ratings"))
    return Agreement(
        alpha=krippendorff_alpha(answer, value, np.asarray(cells["rating"], dtype=np.float64), ratings),
        answers=int(answer.max()) + 1 if answer.size else 0,
        ratings=int(ratings.sum()),
    )


def krippendorff_alpha(
    answer: NDArray[np.int64], value: NDArray[np.int64], rating: NDArray[np.float64], ratings: NDArray[np.int64]
) -> float | None:
    """Krippendorff's alpha with the interval metric (Krippendorff 2011), None where it is not defined.

    The domain is the ratings that occur, not 1 to 5: rounding a 4.4 and a 4.6 to neighbours would invent disagreement,
    and a value that nobody gave changes nothing.

    Args:
        answer: row of each cell, 0 to answers - 1; each answer has two ratings or more.
        value: column of each cell, 0 to values - 1, in ascending order of the ratings.
        rating: the rating of that column, 1 to 5.
        ratings: how many gave that rating to that answer.
    """
    if not answer.size or value.max() == 0:
        return None
    answers, values = int(answer.max()) + 1, int(value.max()) + 1
    if answers * values**2 > _MAX_COINCIDENCE_CELLS:
        return interval_alpha(answer, rating, ratings)
    counts = np.zeros((answers, values), dtype=np.int64)
    counts[answer, value] = ratings
    domain = np.empty(values)
    domain[value] = rating
    return float(krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement="interval"))


def interval_alpha(answer: NDArray[np.int64], rating: NDArray[np.float64], ratings: NDArray[np.int64]) -> float:
    """The same alpha in memory that grows with the cells alone; arguments as for `krippendorff_alpha`.

    With squared differences, the observed disagreement is the answers' sample variances weighted by their ratings, and
    the expected one is the sample variance of all ratings.
    """
    per_answer = np.bincount(answer, weights=ratings)
    means = np.bincount(answer, weights=ratings * rating) / per_answer
    squares = np.bincount(answer, weights=ratings * (rating - means[answer]) ** 2)
    total = per_answer.sum()
    observed = (squares * per_answer / (per_answer - 1)).sum() / total
    expected = (ratings * (rating - np.average(rating, weights=ratings)) ** 2).sum() / (total - 1)
    return float(1 - observed / expected)
