"""The feedback as one page that a person can read and send: self-contained, without scripts, in their language."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from galileu_pipeline.evaluation.estimates import Estimate, Proportion
from galileu_pipeline.feedback.analytics.analysis import FeedbackAnalytics, Totals
from galileu_pipeline.feedback.analytics.plots import plots
from galileu_pipeline.feedback.analytics.texts import TEXTS, Texts
from galileu_pipeline.languages import Language, interval, number
from galileu_pipeline.markdown import printable, shorten
from galileu_pipeline.pages import data_address, moment, render

MAX_TEXT_CHARS = 160

Rows = list[tuple[str, ...]]


def feedback_page(
    analytics: FeedbackAnalytics,
    models: Sequence[tuple[str, Proportion, Proportion | None]],
    *,
    artifact: str,
    recorded_at: datetime,
    language: Language,
) -> str:
    """The page as HTML.

    Args:
        models: name, held-out accuracy, and the base model's accuracy on the same pairs if it was measured; empty where
            there are none.
        artifact: the id of what the figures were read from, and when it was recorded.
    """
    page = _Page(analytics, language)
    return render(
        "feedback",
        language,
        t=page.texts,
        state=page.texts["state"].format(artifact=artifact, when=moment(recorded_at, language)),
        lead=page.lead(),
        totals=page.totals(),
        ratings=page.ratings(),
        agreement=page.agreement(),
        duels=page.duels(),
        leaderboard=page.leaderboard(),
        leaderboard_notes=page.leaderboard_notes(),
        worst_note=page.texts["worst_note"].format(votes=analytics.min_votes),
        worst_questions=page.worst_questions(),
        common_questions=page.common_questions(),
        refused=page.named("reason", analytics.quarantined_by_reason.items()),
        masked=page.named("masked", analytics.masked_by_kind.items()),
        models=[(name, page.interval(own), page.interval(base) if base else "–") for name, own, base in models],
        pictures={name: data_address(png) for name, png in plots(analytics, language).items()},
    )


class _Page:
    """The figures as people write them in one language."""

    def __init__(self, analytics: FeedbackAnalytics, language: Language) -> None:
        self.analytics = analytics
        self.language = language
        self.texts: Texts = TEXTS[language]

    def lead(self) -> list[str]:
        totals, thumbs = self.analytics.totals, self.analytics.thumbs
        if not (totals.votes or totals.choices or totals.comparisons):
            return [self.texts["no_feedback"]]
        counts = {name: self.count(getattr(totals, name)) for name in Totals.model_fields if not name.endswith("_at")}
        sentences = [self.texts["summary"].format(**counts)]
        rated = sum(bar.ratings for bar in self.analytics.rating_distribution)
        if rated:
            mean = sum(bar.rating * bar.ratings for bar in self.analytics.rating_distribution) / rated
            sentences.append(self.texts["summary_rating"].format(mean=number(mean, self.language, 2)))
        if thumbs.share_up is not None:
            sentences.append(self.texts["summary_thumbs"].format(share=self.percent(thumbs.share_up)))
        period = []
        if totals.first_at and totals.last_at:
            first, last = (moment(when, self.language) for when in (totals.first_at, totals.last_at))
            period = [self.texts["period"].format(first=first, last=last)]
        return [" ".join(sentences), *period]

    def totals(self) -> Rows:
        return [
            (self.texts[f"total_{name}"], self.count(getattr(self.analytics.totals, name)))
            for name in Totals.model_fields
            if f"total_{name}" in self.texts
        ]

    def ratings(self) -> Rows:
        rated = sum(bar.ratings for bar in self.analytics.rating_distribution)
        return [
            (str(bar.rating), self.count(bar.ratings), self.percent(bar.ratings / rated))
            for bar in self.analytics.rating_distribution
            if rated
        ]

    def agreement(self) -> str:
        found = self.analytics.agreement
        if found.alpha is None:
            return self.texts["no_alpha"]
        sentence = self.texts["alpha"].format(
            alpha=number(found.alpha, self.language, 2),
            ratings=self.count(found.ratings),
            answers=self.count(found.answers),
        )
        return f"{sentence} {self.texts['alpha_meaning']}"

    def duels(self) -> Rows:
        return [
            (
                self.text(duel.model),
                self.text(duel.rival),
                *(self.count(value) for value in (duel.votes, duel.won, duel.lost, duel.ties, duel.both_bad)),
            )
            for duel in self.analytics.duels
        ]

    def leaderboard(self) -> Rows:
        board = self.analytics.leaderboard
        return [
            (
                self.text(standing.model),
                interval(standing.rating.value, standing.rating.low, standing.rating.high, self.language),
                *(
                    self.count(value)
                    for value in (standing.votes, standing.wins, standing.losses, standing.ties, standing.both_bad)
                ),
            )
            for standing in (board.standings if board else ())
        ]

    def leaderboard_notes(self) -> list[str]:
        """What else pleases people than good answers, and whose votes do not count."""
        board = self.analytics.leaderboard
        if board is None:
            return []
        notes = [
            self.texts["leaderboard_note"].format(
                votes=self.count(board.votes),
                people=self.count(board.people),
                left=self.percent_within(board.left_wins),
                longer=self.percent_within(board.longer_wins),
            )
        ]
        if board.outliers:
            left_out = sum(outlier.votes for outlier in board.outliers)
            notes.append(
                self.texts["leaderboard_outliers"].format(
                    people=self.count(len(board.outliers)), votes=self.count(left_out)
                )
            )
        return notes

    def worst_questions(self) -> Rows:
        return [
            (self.text(row.question), self.count(row.votes), self.percent(row.bad_share), self.score(row.mean_score))
            for row in self.analytics.worst_questions
        ]

    def common_questions(self) -> Rows:
        return [
            (self.text(row.question), self.count(row.uses), self.score(row.mean_score))
            for row in self.analytics.common_questions
        ]

    def named(self, prefix: str, counts: Iterable[tuple[str, int]]) -> Rows:
        return [(self.texts[f"{prefix}_{name}"], self.count(count)) for name, count in counts]

    def text(self, untrusted: str) -> str:
        """User text on one line, without control characters; the template escapes it."""
        return shorten(" ".join(printable(untrusted).split()), MAX_TEXT_CHARS)

    def count(self, value: int) -> str:
        return number(value, self.language)

    def score(self, value: float | None) -> str:
        return "–" if value is None else number(value, self.language, 2)

    def percent(self, share: float) -> str:
        return f"{number(100 * share, self.language)} %"

    def percent_within(self, share: Estimate) -> str:
        ends = (100 * share.value, 100 * share.low, 100 * share.high)
        return f"{interval(*ends, self.language)}\u00a0%"

    def interval(self, share: Proportion) -> str:
        return f"{interval(share.value, share.low, share.high, self.language, 3)}, n = {self.count(share.n)}"
