"""The analytics as pictures. Figures are made without pyplot, so nothing is shared between threads or calls."""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import MaxNLocator
from PIL import Image

from galileu_pipeline.feedback.analytics.analysis import Day, FeedbackAnalytics
from galileu_pipeline.feedback.analytics.texts import TEXTS, Texts
from galileu_pipeline.languages import Language
from galileu_pipeline.markdown import printable, shorten

# Okabe and Ito's palette (2008), told apart by colour-blind people too.
_BLUE, _VERMILLION, _ORANGE, _GREY, _FAINT = "#0072B2", "#D55E00", "#E69F00", "#595959", "#BFBFBF"
_FONT = "DejaVu Sans"  # comes with matplotlib, so the picture does not depend on the machine
_WIDTH_INCHES, _DPI = 8.0, 100
_COLORS = 128
_MAX_LABEL_CHARS = 30
_MAX_BARS = 30  # of a picture with one line a bar
_LEAST_BAR_SHARE = 1 / 400  # of the time axis: a day in a span of years stays visible
_LEAST_DAYS_SHOWN = 7  # length of the time axis, so that its ticks are days
_MAX_JOINED_DAYS = 120
_MOVING_MEANS = 40  # moving means in the whole time that do not overlap


def plots(analytics: FeedbackAnalytics, language: Language = "en") -> dict[str, bytes]:
    """PNG pictures by name: volume_by_day, rating_distribution, rater_strictness, complaint_words.

    The same analytics give the same bytes (with the same matplotlib). A picture without data says so.
    """
    texts = TEXTS[language]
    return {
        "volume_by_day": _volume_by_day(analytics, texts),
        "rating_distribution": _rating_distribution(analytics, texts),
        "rater_strictness": _rater_strictness(analytics, texts),
        "complaint_words": _complaint_words(analytics, texts),
    }


def _volume_by_day(analytics: FeedbackAnalytics, texts: Texts) -> bytes:
    days = analytics.by_day
    if not days:
        return _empty(texts["volume_title"], texts["no_dated_feedback"])
    figure = _figure(4.8)
    volume, rating = figure.subplots(2, 1, sharex=True)
    positions = [float(date2num(day.day)) for day in days]
    width = max(0.8, (positions[-1] - positions[0]) * _LEAST_BAR_SHARE)
    votes = [day.votes for day in days]
    volume.bar(positions, votes, width, color=_BLUE, label=texts["votes"])
    if analytics.totals.choices:
        volume.bar(positions, [day.choices for day in days], width, votes, color=_ORANGE, label=texts["choices"])
        _legend_above(volume)
    _decorate(volume, texts["volume_title"], ylabel=texts["votes_and_choices"])
    volume.yaxis.set_major_locator(MaxNLocator(integer=True))

    _draw_mean_ratings(rating, days, texts)
    _decorate(rating, xlabel=texts["day_utc"], ylabel=texts["mean_rating_1_5"])
    margin = max(width, (_LEAST_DAYS_SHOWN - (positions[-1] - positions[0])) / 2)
    earliest, latest = float(date2num(date.min)), float(date2num(date.max))
    rating.set_xlim(max(earliest, positions[0] - margin), min(latest, positions[-1] + margin))
    locator = AutoDateLocator(minticks=3, maxticks=8, interval_multiples=True)
    rating.xaxis.set_major_locator(locator)
    rating.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    return _png(figure)


def _draw_mean_ratings(axes: Axes, days: Sequence[Day], texts: Texts) -> None:
    """One point a day, joined; over many days, a moving mean through faint points."""
    axes.set_ylim(0.8, 5.2)
    axes.set_yticks([1, 2, 3, 4, 5])
    rated = [day for day in days if day.mean_rating is not None]
    if not rated:
        _say(axes, texts["no_dated_ratings"])
        return
    dates = np.array([date2num(day.day) for day in rated])
    means = np.array([day.mean_rating for day in rated], dtype=np.float64)
    if len(rated) <= _MAX_JOINED_DAYS:
        axes.plot(dates, means, "o-", color=_VERMILLION, markersize=4, lw=1)
        return
    weights = np.array([day.ratings for day in rated], dtype=np.float64)
    window = np.ones(len(rated) // _MOVING_MEANS | 1)  # odd, so that it is centred
    moving = np.convolve(means * weights, window, "same") / np.convolve(weights, window, "same")
    axes.plot(dates, means, "o", color=_FAINT, markersize=2, label=texts["one_day"])
    axes.plot(dates, moving, color=_VERMILLION, lw=1.5, label=texts["moving_mean"].format(days=window.size))
    _legend_above(axes)


def _rating_distribution(analytics: FeedbackAnalytics, texts: Texts) -> bytes:
    title = texts["ratings_title"]
    if not analytics.totals.ratings:
        return _empty(title, texts["no_ratings"])
    figure = _figure(3.6)
    axes = figure.subplots()
    counts = [bar.ratings for bar in analytics.rating_distribution]
    bars = axes.bar([bar.rating for bar in analytics.rating_distribution], counts, color=_BLUE)
    axes.bar_label(
        bars, [f"{_count(count, texts)} ({count / sum(counts):.0%})" for count in counts], padding=2, fontsize=9
    )
    axes.margins(y=0.12)
    _decorate(axes, title, xlabel=texts["rating_axis"], ylabel=texts["ratings"])
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return _png(figure)


def _rater_strictness(analytics: FeedbackAnalytics, texts: Texts) -> bytes:
    title = texts["raters_title"]
    compared = [
        (f"{_rater_label(rater.rater)}  ({_count(rater.compared_votes, texts)})", rater.mean_deviation)
        for rater in analytics.raters
        if rater.mean_deviation is not None and rater.compared_votes >= analytics.min_votes
    ]
    if not compared:
        return _empty(title, texts["no_raters"].format(votes=analytics.min_votes))
    half = _MAX_BARS // 2
    shown = compared if len(compared) <= _MAX_BARS else compared[:half] + compared[-half:]
    colors = [_VERMILLION if deviation < 0 else _BLUE for _, deviation in shown]
    figure = _figure(1.3 + 0.24 * len(shown))
    axes = figure.subplots()
    axes.barh(range(len(shown)), [deviation for _, deviation in shown], color=colors)
    axes.axvline(0, color=_GREY, lw=0.8)
    _name_bars(axes, [label for label, _ in shown])
    limit = 1.1 * max(0.1, *(abs(deviation) for _, deviation in shown))
    axes.set_xlim(-limit, limit)
    _decorate(
        axes,
        title,
        xlabel=texts["strictness_axis"],
        ylabel=texts["rater_axis"],
        grid="x",
    )
    return _png(figure)


def _complaint_words(analytics: FeedbackAnalytics, texts: Texts) -> bytes:
    title = texts["words_title"]
    words = analytics.complaint_words[:_MAX_BARS]
    if not words:
        return _empty(title, texts["no_words"])
    figure = _figure(1.2 + 0.24 * len(words))
    axes = figure.subplots()
    bars = axes.barh(range(len(words)), [word.comments for word in words], color=_BLUE)
    axes.bar_label(bars, [_count(word.comments, texts) for word in words], padding=3, fontsize=8)
    axes.margins(x=0.08)
    _name_bars(axes, [shorten(word.word, _MAX_LABEL_CHARS) for word in words])
    _decorate(axes, title, xlabel=texts["words_axis"], ylabel=texts["word"], grid="x")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _png(figure)


def _count(value: int, texts: Texts) -> str:
    return f"{value:,}".replace(",", texts["thousands"])


def _rater_label(rater: str) -> str:
    """A long id without its middle: ids often begin alike and end differently."""
    if len(rater) <= _MAX_LABEL_CHARS:
        return rater
    half = (_MAX_LABEL_CHARS - 1) // 2
    return f"{rater[:half]}…{rater[-half:]}"


def _name_bars(axes: Axes, labels: Sequence[str]) -> None:
    """Untrusted `labels` beside horizontal bars, the first on top. A dollar sign in them is no formula."""
    axes.set_yticks(range(len(labels)), [_drawable(label) for label in labels], parse_math=False, fontsize=8)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def _drawable(text: str) -> str:
    """`text` on one line, with a question mark for each character that the font does not have."""
    known = _font_characters()
    return "".join(char if ord(char) in known else "?" for char in " ".join(printable(text).split()))


@lru_cache(maxsize=1)
def _font_characters() -> frozenset[int]:
    return frozenset(FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")).get_charmap())


def _figure(height_inches: float) -> Figure:
    figure = Figure(figsize=(_WIDTH_INCHES, height_inches), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _decorate(axes: Axes, title: str = "", xlabel: str = "", ylabel: str = "", grid: str = "y") -> None:
    if title:
        axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    axes.tick_params(labelsize=8, labelfontfamily=_FONT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x" if grid == "x" else "y", color="#D9D9D9", lw=0.6)
    axes.set_axisbelow(True)


def _legend_above(axes: Axes) -> None:
    """A legend that covers no data, right of the title."""
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower right", bbox_to_anchor=(1, 0.98), borderaxespad=0)


def _empty(title: str, message: str) -> bytes:
    figure = _figure(2.0)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_title(title, loc="left", fontsize=11)
    _say(axes, message)
    return _png(figure)


def _say(axes: Axes, message: str) -> None:
    axes.text(0.5, 0.5, message, transform=axes.transAxes, ha="center", va="center", color=_GREY, fontsize=10)


def _png(figure: Figure) -> bytes:
    """A PNG with a palette: a third of the bytes, and no difference to see in flat colours."""
    full, small = BytesIO(), BytesIO()
    figure.savefig(full, format="png", dpi=_DPI, metadata={"Software": None})
    picture = Image.open(full).convert("RGB").quantize(_COLORS, Image.Quantize.MAXCOVERAGE)
    picture.save(small, format="png", optimize=True)
    return small.getvalue()
