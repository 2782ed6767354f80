"""What the ratings of a file mean: judged for the file as a whole, never row by row.

A 1 is the worst of five stars, and a thumb up; a 5 is the best of five stars, and the middle of 0 to 10. So ratings are
read on one scale, and once all were seen they must fit it, or nothing of the file is kept.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from galileu_pipeline.errors import InputError

# Hands come in colours, or are asked for as a picture rather than a sign.
_HANDS = ("", "\ufe0f", "\U0001f3fb", "\U0001f3fc", "\U0001f3fd", "\U0001f3fe", "\U0001f3ff")
# As databases, spreadsheets (the Brazilian ones too), other programs and people spell them.
_TRUE = ("1", "1.0", "+1", "true", "t", "verdadeiro", "yes", "y", "sim", "s")
_FALSE = ("0", "0.0", "-1", "-1.0", "false", "f", "falso", "no", "n", "não", "nao")
TRUTH_WORDS = _TRUE + _FALSE  # good or bad by what they are the answer to
UP_WORDS = (
    *_TRUE,
    *("up", "thumbs_up", "thumbsup", "like", "gostei", "positive", "positivo"),
    *(f"👍{hand}" for hand in _HANDS),
)
DOWN_WORDS = (
    *_FALSE,
    *("down", "thumbs_down", "thumbsdown", "dislike", "não gostei", "nao gostei", "negative", "negativo"),
    *(f"👎{hand}" for hand in _HANDS),
)
# What is written where there is no value.
ABSENT_WORDS = ("", "-", "--", "nan", "nat", "null", "none", "nil", "n/a", "na", "n/d", "nd", "#n/a", "#n/d")
_SCALE = re.compile(r"\s*([+-]?\d+(?:[.,]\d+)?)\s*(?:-|–|\.\.|:|/|to)\s*([+-]?\d+(?:[.,]\d+)?)\s*")
_STRAY_SHARE = 0.01  # so few ratings outside the scale are slips, and refused one by one
_MANY = 10
_MOST_VALUES = 12


@dataclass(frozen=True)
class Scale:
    """Ratings from `worst` to `best`, either of which may be the greater number; or thumbs."""

    worst: float
    best: float
    thumbs: bool = False

    @classmethod
    def parse(cls, text: str) -> "Scale":
        """`0-10`, `-1..1`, `6-1` (the worst first) or `thumbs`.

        Raises:
            InputError: it is none of these.
        """
        if text.strip().lower() == "thumbs":
            return THUMBS
        found = _SCALE.fullmatch(text)
        worst, best = (float(found[end].replace(",", ".")) if found else 0.0 for end in (1, 2))
        if worst == best:
            raise InputError(
                f"--scale {text} is no scale. Give the worst and the best rating, such as --scale 0-10 or "
                "--scale=-1..1, or say --scale thumbs."
            )
        return cls(worst, best)

    def __str__(self) -> str:
        if self.thumbs:
            return "thumbs"
        worst, best = f"{self.worst:g}", f"{self.best:g}"
        return f"{worst}..{best}" if "-" in worst + best else f"{worst}-{best}"

    @property
    def ends(self) -> str:
        return f"{self.worst:g} to {self.best:g}"

    def holds(self, number: float) -> bool:
        if self.thumbs:
            return number in (-1, 0, 1)
        return min(self.worst, self.best) <= number <= max(self.worst, self.best)


FIVE_STARS = Scale(1, 5)
THUMBS = Scale(-1, 1, thumbs=True)


@dataclass
class _Census:
    """The different spellings in a column, and how often each occurs; of very many only what they have in common."""

    total: int = 0
    words: Counter[str] = field(default_factory=Counter)
    numbers: int = 0
    outside: int = 0
    low: float = math.inf
    high: float = -math.inf
    values: set[float] = field(default_factory=set)

    def see(self, column: pa.ChunkedArray, scale: Scale) -> None:
        for entry in pc.value_counts(column.drop_null()).to_pylist():
            text, count = entry["values"], entry["counts"]
            self.total += count
            number = _number(text)
            if number is None:
                if text in self.words or len(self.words) < _MOST_VALUES:
                    self.words[text] += count
                continue
            self.numbers += count
            self.outside += 0 if scale.holds(number) else count
            self.low, self.high = min(self.low, number), max(self.high, number)
            if len(self.values) <= _MOST_VALUES:
                self.values.add(number)


class ScaleJudge:
    """Watches the ratings of a file, and says at its end whether they are on the scale."""

    def __init__(self, said: Scale | None = None) -> None:
        """`said` is the scale of which somebody knows that it is the file's; without one it is 1 to 5, if that fits."""
        self.scale = said or FIVE_STARS
        self._said = said is not None
        self._ratings, self._thumbs = _Census(), _Census()

    def see(self, rows: pa.Table) -> None:
        """Take note of the ratings of parsed rows."""
        self._ratings.see(rows["given_rating"], self.scale)
        self._thumbs.see(rows["given_thumb"], THUMBS)

    def fault(self, has_thumbs: bool) -> str | None:
        """Why the ratings are not on the scale, if so, with the likely one.

        Args:
            has_thumbs: whether the rows have a field for thumbs of their own.
        """
        seen = self._ratings
        for name, census in (("rating", seen if self.scale.thumbs else None), ("thumbs_up", self._thumbs)):
            if census and {0.0, -1.0} <= census.values and census.values <= {-1.0, 0.0, 1.0}:
                return (
                    f"{name} has 0 besides -1, so a 0 is no thumb down. If it means neither good nor bad, say "
                    f"{'' if name == 'rating' else '--map rating=thumbs_up '}--scale=-1..1; else leave it empty."
                )
        if self._said:
            tolerated = _STRAY_SHARE if self.scale.thumbs else 0.5
            if seen.outside > tolerated * seen.numbers:
                return f"{self._outside_words()} not on the scale {self.scale}; {self._value_words()}."
            return None
        if self._thumbs.outside > _STRAY_SHARE * self._thumbs.numbers:
            return (
                f"{self._thumbs.outside:,} of {self._thumbs.numbers:,} numbers in thumbs_up are no thumbs; if they are "
                "ratings, say --map rating=thumbs_up and their --scale; if they are slips, say --scale 1-5."
            )
        if seen.outside > _STRAY_SHARE * seen.numbers:
            return (
                f"{self._outside_words()} not from 1 to 5; {self._value_words()}. What they mean must be said: "
                f"{self._proposal()}. If the others are from 1 to 5, and these are slips, say --scale 1-5."
            )
        if seen.numbers >= _MANY and seen.values <= {-1.0, 0.0, 1.0} and not (has_thumbs and self._nobody_up()):
            others = f" but {seen.outside:,} of 0 or -1" if seen.outside else ""
            return (
                f"all {seen.numbers:,} ratings{others} are 1: thumbs up, or the worst of five stars? Say "
                "--scale thumbs or --scale 1-5."
            )
        thumbs = sum(count for word, count in seen.words.items() if word.strip().lower() in UP_WORDS + DOWN_WORDS)
        if thumbs > seen.numbers and thumbs > 1:
            return f"the ratings are words such as {next(iter(seen.words))!r}; likely --scale thumbs."
        return None

    def _nobody_up(self) -> bool:
        up = (word for word in self._thumbs.words if word.strip().lower() in UP_WORDS)
        return 1.0 not in self._thumbs.values and next(up, None) is None

    def _outside_words(self) -> str:
        return f"{self._ratings.outside:,} of {self._ratings.numbers:,} ratings are"

    def _value_words(self) -> str:
        if len(self._ratings.values) <= _MOST_VALUES:
            return "they are " + ", ".join(f"{value:g}" for value in sorted(self._ratings.values))
        return f"they go from {self._ratings.low:g} to {self._ratings.high:g}"

    def _proposal(self) -> str:
        seen = self._ratings
        if seen.values in ({-1.0, 1.0}, {0.0, 1.0}, {0.0}, {-1.0}):
            return "likely --scale thumbs"
        if seen.low >= 0 and seen.high <= 1:
            return "likely --scale 0-1"
        if seen.low >= -1 and seen.high <= 1:
            return "likely --scale=-1..1"
        if seen.low >= 0 and seen.high <= 5:
            return "likely --scale 0-5 (or 0-4, if nobody could give 5)"
        if seen.low >= 0 and seen.high <= 10:
            return "likely --scale 0-10 (or 1-10, if nobody could give 0)"
        if seen.low >= 0 and seen.high <= 100:
            return "likely --scale 0-100"
        return "--scale WORST-BEST"


def _number(text: str) -> float | None:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
