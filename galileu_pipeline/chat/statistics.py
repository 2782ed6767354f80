"""The statistics tab: what was collected, as a line and three plots, and the models by strength."""

from typing import TYPE_CHECKING, Any

import gradio as gr
import pandas as pd

from galileu_pipeline.chat.canary import CanaryStanding
from galileu_pipeline.chat.texts import say
from galileu_pipeline.languages import Language, interval, number

if TYPE_CHECKING:
    from galileu_pipeline.feedback.analytics.leaderboard import Leaderboard


def show(
    stats: dict[str, Any], trial: CanaryStanding | None, board: "Leaderboard | None", language: Language
) -> tuple[str, gr.BarPlot, gr.BarPlot, gr.BarPlot, gr.Dataframe]:
    """Summary, feedback by day, ratings and side-by-side votes, from `FeedbackCollector.get_feedback_stats`; models.

    With a candidate on `trial`, the summary says how it does.
    """
    day, count, rating, verdict = (say(language, key) for key in ("day", "count", "ratings", "verdict"))
    average = stats["average_rating"]
    summary = say(language, "summary", **stats, average="–" if average is None else number(average, language, 2))
    if trial is not None:
        summary += f"\n\n{_trial_line(trial, language)}"
    days = pd.DataFrame(
        # As times, so that the axis names as many days as there is room for.
        [(pd.Timestamp(when), votes + comparisons) for when, votes, comparisons in stats["by_day"]],
        columns=[day, count],
    )
    ratings = pd.DataFrame(
        [(str(value), votes) for value, votes in stats["rating_distribution"].items()], columns=[rating, count]
    )
    verdicts = pd.DataFrame(
        [(say(language, f"verdict_{name}"), votes) for name, votes in stats["verdicts"].items()],
        columns=[verdict, count],
    )
    return (
        summary,
        gr.BarPlot(days, x=day, y=count, y_lim=_from_zero(days[count])),
        gr.BarPlot(ratings, x=rating, y=count, y_lim=_from_zero(ratings[count])),
        gr.BarPlot(verdicts, x=verdict, y=count, y_lim=_from_zero(verdicts[count]), sort=list(verdicts[verdict])),
        gr.Dataframe(_standings(board, language), visible=board is not None),
    )


def _trial_line(trial: CanaryStanding, language: Language) -> str:
    thumbs = trial.thumbs
    shares = [number(100 * end, language) for end in (thumbs.low, thumbs.high)]
    return say(
        language,
        "canary_failed" if trial.has_failed else "canary",
        model=trial.candidate.id,
        share=f"{number(100 * trial.share, language)} %",
        up=thumbs.up,
        count=thumbs.count,
        interval=f"({shares[0]}–{shares[1]} %)",
    )


def _standings(board: "Leaderboard | None", language: Language) -> pd.DataFrame:
    """The strongest first, each rating with its interval."""
    rows = [
        (
            standing.model,
            interval(standing.rating.value, standing.rating.low, standing.rating.high, language),
            *(number(count, language) for count in (standing.wins, standing.losses, standing.ties, standing.both_bad)),
        )
        for standing in (board.standings if board else ())
    ]
    columns = ("model", "strength", "wins", "losses", "verdict_tie", "verdict_both_bad")
    return pd.DataFrame(rows, columns=[say(language, column) for column in columns])


def _from_zero(counts: pd.Series) -> list[float | None]:
    """An axis from 0 to the highest count, or to 1 where there is nothing yet."""
    return [0, max(1, counts.max() if len(counts) else 0)]
