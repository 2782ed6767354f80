"""The analytics as Markdown, for the metadata of the asset and for people. User text stays text."""

from galileu_pipeline.feedback.analytics.analysis import FeedbackAnalytics, Totals
from galileu_pipeline.markdown import escape, table

DAYS_SHOWN = 14


def markdown(analytics: FeedbackAnalytics) -> str:
    """The whole report: a heading and a table for each part of the analytics."""
    agreement, thumbs = analytics.agreement, analytics.thumbs
    sections = {
        "Totals": table(("what", "value"), _totals_rows(analytics.totals)),
        "Quarantined": table(
            ("reason", "rows"), ((escape(reason), count) for reason, count in analytics.quarantined_by_reason.items())
        ),
        f"Volume and mean rating, last {DAYS_SHOWN} days with feedback (UTC)": table(
            ("day", "votes", "choices", "ratings", "mean rating"),
            (
                (day.day.isoformat(), day.votes, day.choices, day.ratings, _number(day.mean_rating))
                for day in analytics.by_day[-DAYS_SHOWN:]
            ),
        ),
        "Thumbs": table(
            ("up", "down", "share up"),
            [(thumbs.up, thumbs.down, _percent(thumbs.share_up))] if thumbs.share_up is not None else [],
        ),
        "Ratings": table(
            ("rating", "votes"),
            ((bar.rating, bar.ratings) for bar in analytics.rating_distribution) if analytics.totals.ratings else [],
        ),
        "Agreement between raters": table(
            ("Krippendorff's alpha (interval)", "answers rated twice or more", "ratings on them"),
            [(_number(agreement.alpha, 3), agreement.answers, agreement.ratings)],
        ),
        "Most common questions": table(
            ("question", "votes and choices", "mean score"),
            ((escape(row.question), row.uses, _number(row.mean_score)) for row in analytics.common_questions),
        ),
        f"Worst questions (at least {analytics.min_votes} votes)": table(
            ("question", "votes", "bad", "share bad", "at least (95 %)", "mean score"),
            (
                (
                    escape(row.question),
                    row.votes,
                    row.bad_votes,
                    _percent(row.bad_share),
                    _percent(row.bad_share_lower),
                    _number(row.mean_score),
                )
                for row in analytics.worst_questions
            ),
        ),
        f"Raters, strictest first (at most {analytics.top} of each end)": table(
            ("rater", "votes", "mean score", "compared votes", "less others' mean", "share bad"),
            (
                (
                    escape(row.rater),
                    row.votes,
                    _number(row.mean_score),
                    row.compared_votes,
                    _signed(row.mean_deviation),
                    _percent(row.bad_share),
                )
                for row in analytics.raters
            ),
        ),
        "Models side by side": table(
            ("model", "against", "votes", "won", "lost", "ties", "both bad"),
            (
                (escape(duel.model), escape(duel.rival), duel.votes, duel.won, duel.lost, duel.ties, duel.both_bad)
                for duel in analytics.duels
            ),
        ),
        "Personal data masked": table(
            ("kind", "found"), ((escape(kind), found) for kind, found in analytics.masked_by_kind.items())
        ),
        "Words in complaints": table(
            ("word", "comments"), ((escape(row.word), row.comments) for row in analytics.complaint_words)
        ),
    }
    return "\n\n".join(f"### {title}\n\n{body}" for title, body in sections.items()) + "\n"


def _totals_rows(totals: Totals) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        (name, getattr(totals, name)) for name in Totals.model_fields if name not in ("first_at", "last_at")
    ]
    for name, moment in (("first", totals.first_at), ("last", totals.last_at)):
        rows.append((name, f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "–"))
    return rows


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:z.{digits}f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+z.2f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
