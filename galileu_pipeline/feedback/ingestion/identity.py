"""Which row is which: the id that the client gave, or the row's content and how often it came before in its source.

Where a row stands in a file says nothing of what it is: exports grow at either end.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable

import pyarrow as pa
import pyarrow.compute as pc

from galileu_pipeline.feedback.collection.pseudonyms import known
from galileu_pipeline.feedback.ingestion.reasons import Reason

# With a digit and nothing but word characters an id is what it is; the others are looked at. Also RE2.
_PLAIN_ID = r"^[0-9A-Za-z_:-]*[0-9][0-9A-Za-z_:-]*$"
# 1,78923E+17: a spreadsheet took the id for a number, and some of its digits are gone; so are those of a long decimal.
ROUNDED_ID = r"(?i)^\s*[+-]?([0-9]+([.,][0-9]+e\+?|e\+)[0-9]+|[0-9]{17,}[.,]0+)\s*$"
_ROUNDED_ID = re.compile(ROUNDED_ID)
_BASE_LENGTH = 64

Taken = Callable[[Collection[str]], Iterable[str]]


class Identities:
    """Gives the rows of one source their ids, in the order of the source."""

    def __init__(self, taken: Taken | None = None) -> None:
        """`taken` tells, of some first occurrences, the ids of rows of the source that are not read this time."""
        self._taken = taken
        self._occurrences: Counter[str] = Counter()
        self._reserved: dict[str, set[str]] = defaultdict(set)

    def assign(self, rows: pa.Table) -> pa.Table:
        """Prepared rows, `feedback_id` in place of `given_id` and `content`; those whose id is ruined with a fault."""
        ids = rows["given_id"].combine_chunks()
        faults: dict[int, tuple[str, str]] = {}
        odd = pc.indices_nonzero(pc.invert(pc.match_substring_regex(ids, _PLAIN_ID)).fill_null(True)).to_pylist()
        if odd:
            ids, faults = self._looked_at(rows, ids.to_pylist(), odd)
        named = rows.drop_columns(["given_id", "content"]).append_column("feedback_id", ids)
        return with_faults(named, faults)

    def _looked_at(
        self, rows: pa.Table, ids: list[str | None], odd: list[int]
    ) -> tuple[pa.Array, dict[int, tuple[str, str]]]:
        faults = {}
        bases: dict[int, str] = {}
        contents, users, sessions = (rows[name].to_pylist() for name in ("content", "user_id", "session_id"))
        for row in odd:
            given = ids[row] or ""
            ids[row] = identity = known(given)
            if identity is None:
                parts = (contents[row], users[row], sessions[row])
                bases[row] = hashlib.sha256("|".join(part or "" for part in parts).encode()).hexdigest()
            elif _ROUNDED_ID.match(given):
                faults[row] = rounded("feedback_id", given)
        self._reserve(bases.values())
        for row, base in bases.items():
            ids[row] = self._next(base)
        return pa.array(ids, pa.string()), faults

    def _reserve(self, bases: Iterable[str]) -> None:
        asked = set(bases)
        if self._taken is not None and asked:
            for identity in self._taken(asked):
                self._reserved[identity[:_BASE_LENGTH]].add(identity)

    def _next(self, base: str) -> str:
        while True:
            self._occurrences[base] += 1
            number = self._occurrences[base]
            identity = base if number == 1 else f"{base}-{number}"
            if identity not in self._reserved.get(base, ()):
                return identity


def rounded(name: str, identifier: str) -> tuple[str, str]:
    """The fault of a row whose identifier of that name was taken for a number."""
    detail = f"{name} is {identifier[:80]}, rounded by a spreadsheet; take the file as it was before"
    return Reason.INVALID_ID.value, detail


def with_faults(rows: pa.Table, faults: dict[int, tuple[str, str]]) -> pa.Table:
    """Rows, some of them with a fault (reason, detail); what was found before stays."""
    if not faults:
        return rows
    column = rows["fault"].to_pylist()
    for row, fault in faults.items():
        column[row] = column[row] or list(fault)
    place = rows.column_names.index("fault")
    return rows.set_column(place, "fault", pa.array(column, rows.schema.field("fault").type))
