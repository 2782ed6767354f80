"""Which times a vote can have."""

from datetime import UTC, datetime, timedelta

EARLIEST = datetime(2001, 1, 1, tzinfo=UTC)
"""Before SmarterChild, the first chatbot that millions talked to. Clocks and spreadsheets that lost a time say 1970,
1900 or 2000."""

_AHEAD = timedelta(days=1)  # a clock that is wrong by its time zone, and a little more


def latest(now: datetime | None = None) -> datetime:
    """After this a time is a mistake."""
    return (now or datetime.now(UTC)) + _AHEAD


def is_plausible(moment: datetime) -> bool:
    """Whether somebody may have voted then. `moment` has a time zone."""
    return EARLIEST <= moment <= latest()
