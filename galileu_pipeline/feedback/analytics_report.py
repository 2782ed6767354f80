"""The analytics as Markdown, for the metadata of the asset and for people. User text stays text."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from galileu_pipeline.feedback.analytics import FeedbackAnalytics, Totals

MAX_TEXT_CHARS = 120
DAYS_SHOWN = 14

_NOTHING = "_Nothing yet._"
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# What Markdown, its GitHub flavour (tables, strike-through, bare addresses, mentions) or TeX would take for markup.
_MARKUP = re.compile(r"([\\`*_\[\]{}()#|~$@:!^])")
_BARE_ADDRESS = re.compile(r"(?i)(www)\.")
_ZERO_WIDTH_JOINER = "\u200d"  # part of many emoji


def markdown(analytics: FeedbackAnalytics) -> str:
    """The whole report: a heading and a table for each part of the analytics."""
    agreement, thumbs = analytics.agreement, analytics.thumbs
    sections = {
        "Totals": _table(("what", "value"), _totals_rows(analytics.totals)),
        "Quarantined": _table(
            ("reason", "rows"), ((escape(reason), count) for reason, count in analytics.quarantined_by_reason.items())
        ),
        f"Volume and mean rating, last {DAYS_SHOWN} days with feedback (UTC)": _table(
            ("day", "votes", "choices", "ratings", "mean rating"),
            (
                (day.day.isoformat(), day.votes, day.choices, day.ratings, _number(day.mean_rating))
                for day in analytics.by_day[-DAYS_SHOWN:]
            ),
        ),
        "Thumbs": _table(
            ("up", "down", "share up"),
            [(thumbs.up, thumbs.down, _percent(thumbs.share_up))] if thumbs.share_up is not None else [],
        ),
        "Ratings": _table(
            ("rating", "votes"),
            ((bar.rating, bar.ratings) for bar in analytics.rating_distribution) if analytics.totals.ratings else [],
        ),
        "Agreement between raters": _table(
            ("Krippendorff's alpha (interval)", "answers rated twice or more", "ratings on them"),
            [(_number(agreement.alpha, 3), agreement.answers, agreement.ratings)],
        ),
        "Most common questions": _table(
            ("question", "votes and choices", "mean score"),
            ((escape(row.question), row.uses, _number(row.mean_score)) for row in analytics.common_questions),
        ),
        f"Worst questions (at least {analytics.min_votes} votes)": _table(
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
        f"Raters, strictest first (at most {analytics.top} of each end)": _table(
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
        "Words in complaints": _table(
            ("word", "comments"), ((escape(row.word), row.comments) for row in analytics.complaint_words)
        ),
    }
    return "\n\n".join(f"### {title}\n\n{body}" for title, body in sections.items()) + "\n"


def escape(text: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """Untrusted `text` on one line of at most `max_chars` characters, showing as written in Markdown and HTML."""
    short = shorten(" ".join(printable(text).split()), max_chars)
    return _BARE_ADDRESS.sub(r"\1\\.", _MARKUP.sub(r"\\\1", short).translate(_HTML))


def shorten(text: str, max_chars: int) -> str:
    """`text` of at most `max_chars` characters, the last being an ellipsis where some were left out."""
    return text if len(text) <= max_chars else text[: max_chars - 1].rstrip() + "…"


def printable(text: str) -> str:
    """`text` with a space for each control or invisible character, such as those that reverse the reading direction."""
    return "".join(
        " " if unicodedata.category(char).startswith("C") and char != _ZERO_WIDTH_JOINER else char for char in text
    )


def _totals_rows(totals: Totals) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        (name, getattr(totals, name)) for name in Totals.model_fields if name not in ("first_at", "last_at")
    ]
    for name, moment in (("first", totals.first_at), ("last", totals.last_at)):
        rows.append((name, f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "–"))
    return rows


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; the cells are Markdown already. The first column is text, the others are numbers."""
    body = [_line(row) for row in rows]
    if not body:
        return _NOTHING
    return "\n".join([_line(header), _line([":--", *["--:"] * (len(header) - 1)]), *body])


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells) + " |"


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:z.{digits}f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+z.2f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
