"""What is judged of a file as a whole, once all of its rows were seen: a row by itself cannot tell."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.scale import Scale, ScaleJudge


@dataclass
class DateJudge:
    """Watches the order of day and month: 24/11/2026 has the day first, and 11/24/2026 the month.

    Of 03/04/2026 nobody knows, so it is the day where the file does not say otherwise.
    """

    day_first: int = 0
    month_first: int = 0

    def see(self, rows: pa.Table) -> None:
        """Take note of the dates of parsed rows."""
        told = rows["day_first"].drop_null()
        day_first = pc.sum(told).as_py() or 0
        self.day_first += day_first
        self.month_first += len(told) - day_first

    def fault(self) -> str | None:
        """Why the dates cannot be read, if so. A few of the other order are slips, and refused one by one."""
        if self.month_first <= self.day_first:
            return None
        return (
            f"{self.month_first:,} dates have the month first, as 11/24/2026 has, and {self.day_first:,} the day, so "
            "that nobody knows what 03/04/2026 is. Write dates as 2026-11-24; in a spreadsheet that is a format of "
            "cells."
        )


class FileJudge:
    """Watches the rows of a file, and says at its end whether they mean what they were read as."""

    def __init__(self, said: Scale | None = None) -> None:
        """`said` is the scale of which somebody knows that it is the file's; without one it is 1 to 5, if that fits."""
        self._ratings = ScaleJudge(said)
        self._dates = DateJudge()

    @property
    def scale(self) -> Scale:
        return self._ratings.scale

    def see(self, rows: pa.Table) -> pa.Table:
        """Take note of parsed rows. Returns them."""
        self._ratings.see(rows)
        self._dates.see(rows)
        return rows

    def require_fit(self, source: str, *, has_thumbs: bool = False) -> None:
        """Once all rows were seen. With `has_thumbs` they have a field for thumbs of their own.

        Raises:
            InputError: the ratings are on another scale (proposes the likely one), or dates have the month first.
        """
        if fault := self._ratings.fault(has_thumbs) or self._dates.fault():
            raise InputError(f"{source}: {fault} Nothing of it was imported.")
