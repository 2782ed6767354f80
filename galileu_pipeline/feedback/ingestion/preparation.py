"""The texts of a batch made fit to learn from: repaired, masked, and people's ids hashed, in documents beside them too.

A batch is columns, not rows, and each different text is looked at once: most answers are rated by several people.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms, known
from galileu_pipeline.feedback.ingestion.cleaning import UNDAMAGED, TextCleaner, text_digest, visible
from galileu_pipeline.feedback.ingestion.documents import DOCUMENT_COLUMNS, MAYBE_CHANGED, DocumentMasker
from galileu_pipeline.feedback.ingestion.identity import ROUNDED_ID, rounded, with_faults
from galileu_pipeline.feedback.ingestion.masking import MAYBE_PERSONAL, mask
from galileu_pipeline.feedback.ingestion.reasons import Reason

TEXT_COLUMNS = (
    "query",
    "response",
    "comment",
    "chosen",
    "rejected",
    "response_left",
    "response_right",
    "reason",
)
# By the name that the field has for people.
_FIELDS_OF_TEXT = {
    "query": "query",
    "response": "response",
    "chosen": "response_chosen",
    "rejected": "response_rejected",
    "response_left": "response_left",
    "response_right": "response_right",
}
# What a spreadsheet, also a Brazilian one, shows in place of a cell that it could not work out; so it does of a text
# that begins with a hyphen or an equals sign.
BROKEN_CELLS = pa.array(
    [
        *("#NAME?", "#NOME?", "#VALUE!", "#VALOR!", "#REF!", "#N/A", "#N/D", "#DIV/0!", "#NUM!", "#NÚM!", "#NULL!"),
        *("#NULO!", "#SPILL!", "#DESPEJAR!", "#CALC!", "#ERROR!", "#ERRO!"),
    ]
)
PERSON_COLUMNS = ("user_id", "session_id")
_MASKED = pa.map_(pa.string(), pa.int32())


@dataclass(frozen=True)
class RowPreparer:
    """Turns typed rows (`sql/parse_rows.sql`) into rows that can be judged (`sql/judge_rows.sql`)."""

    cleaner: TextCleaner
    pseudonyms: Pseudonyms

    def prepare(self, parsed: pa.Table) -> pa.Table:
        """The rows with clean texts (null where nothing can be seen), safe documents, and more columns.

        `query_key`; `repaired`, whether cleaning changed a text; `masked`, how many identifiers of each kind (null
        where there are none); and for each text column `<name>_digest`, 128 bits of sha256 of what can be seen of it.
        """
        columns = {name: parsed[name] for name in parsed.column_names}
        masked: dict[int, Counter[str]] = defaultdict(Counter)
        texts = _Entries(parsed, TEXT_COLUMNS)
        unlikely = _matching(texts.values, UNDAMAGED, negate=True)
        clean = self._clean(texts.values, unlikely)
        personal = _matching(clean, MAYBE_PERSONAL)
        safe = texts.masked(clean, personal, lambda text, _: mask(text), masked)
        looked_at = pa.array(np.union1d(unlikely, personal))
        seen = _replaced(pc.utf8_trim_whitespace(safe), looked_at, map(visible, safe.take(looked_at).to_pylist()))
        digests = pa.array([text_digest(text) if text else None for text in seen.to_pylist()], pa.string())
        columns |= texts.with_values(pc.if_else(pc.equal(seen, ""), None, safe))
        columns |= {f"{name}_digest": column for name, column in texts.with_values(digests).items()}
        columns["repaired"] = pa.array(texts.rows_with(pc.not_equal(clean, texts.values)))
        documents = _Entries(parsed, DOCUMENT_COLUMNS)
        changed = _matching(documents.values, MAYBE_CHANGED)
        columns |= documents.with_values(
            documents.masked(documents.values, changed, DocumentMasker(self.pseudonyms).text, masked)
        )
        columns["query_key"] = _map(columns["query"].dictionary_decode(), self.cleaner.query_key)
        for name in PERSON_COLUMNS:
            columns[name] = _map(columns[name], self._person)
        faults = _broken_cells(texts, seen) | _rounded_people(parsed, columns["user_id"])
        counts = [sorted(masked[row].items()) if row in masked else None for row in range(parsed.num_rows)]
        columns["masked"] = pa.array(counts, _MASKED)
        return with_faults(pa.table(columns), faults)

    def _person(self, identifier: str) -> str | None:
        named = known(identifier)
        return self.pseudonyms.of(named) if named else None

    def _clean(self, texts: pa.StringArray, unlikely: pa.UInt64Array) -> pa.StringArray:
        """The texts repaired: white space at the end of all, the rest in those that Arrow finds unlikely."""
        if not self.cleaner.repair:
            return texts
        repaired = map(self.cleaner.text, texts.take(unlikely).to_pylist())
        return _replaced(pc.utf8_rtrim_whitespace(texts), unlikely, repaired)


class _Entries:
    """The different texts of each of some columns, all in one array, so that each pattern is made ready once."""

    def __init__(self, table: pa.Table, names: Sequence[str]) -> None:
        self._rows = table.num_rows
        self._columns = {name: _dictionary(table[name]) for name in names}
        lengths = [len(column.dictionary) for column in self._columns.values()]
        self._starts = [0, *accumulate(lengths)][:-1]
        self.values: pa.StringArray = pa.concat_arrays([column.dictionary for column in self._columns.values()])

    def with_values(self, values: pa.StringArray) -> dict[str, pa.DictionaryArray]:
        """The columns with other texts in place of theirs."""
        return {
            name: pa.DictionaryArray.from_arrays(column.indices, values[start : start + len(column.dictionary)])
            for (name, column), start in zip(self._columns.items(), self._starts, strict=True)
        }

    def rows_with(self, found: pa.BooleanArray) -> NDArray[np.bool_]:
        """In which rows one of the texts is found."""
        rows = np.zeros(self._rows, dtype=bool)
        for column, start in zip(self._columns.values(), self._starts, strict=True):
            of_column = found[start : start + len(column.dictionary)].take(column.indices)
            rows |= of_column.fill_null(False).to_numpy(zero_copy_only=False)
        return rows

    def masked(
        self,
        texts: pa.StringArray,
        personal: pa.UInt64Array,
        change: Callable[[str, str], tuple[str | None, Iterable[tuple[str, int]]]],
        counts: dict[int, Counter[str]],
    ) -> pa.StringArray:
        """Texts in place of the own ones, those that may be personal changed; what was found goes to `counts`, by row.

        `change` is given a text and the name of its column.
        """
        names = list(self._columns)
        safe = []
        for entry, text in zip(personal.to_pylist(), texts.take(personal).to_pylist(), strict=True):
            place = bisect_right(self._starts, entry) - 1
            changed, found = change(text, names[place])
            safe.append(changed)
            if found:
                indices = self._columns[names[place]].indices
                for row in pc.indices_nonzero(pc.equal(indices, entry - self._starts[place])).to_pylist():
                    counts[row].update(dict(found))
        return _replaced(texts, personal, safe)


def _broken_cells(texts: _Entries, seen: pa.StringArray) -> dict[int, tuple[str, str]]:
    """Rows whose question or answer is the error of a spreadsheet, with the fault.

    `seen` is what is seen of each of the texts.
    """
    faults: dict[int, tuple[str, str]] = {}
    if not pc.any(pc.is_in(seen, value_set=BROKEN_CELLS)).as_py():
        return faults
    for name, column in texts.with_values(seen).items():
        if name in _FIELDS_OF_TEXT:
            cells = column.dictionary_decode()
            for row in pc.indices_nonzero(pc.is_in(cells, value_set=BROKEN_CELLS)).to_pylist():
                detail = f"{_FIELDS_OF_TEXT[name]} is {cells[row]}, the error of a spreadsheet; the text is lost"
                faults.setdefault(row, (Reason.MISSING_TEXT.value, detail))
    return faults


def _rounded_people(parsed: pa.Table, users: pa.DictionaryArray) -> dict[int, tuple[str, str]]:
    """Rows of somebody whose identifier a spreadsheet has rounded, and who would be one with others, with the fault.

    A session says who it was where the row has none of the `users` who are known.
    """
    faults: dict[int, tuple[str, str]] = {}
    for name, asked in (("session_id", users.is_null()), ("user_id", None)):
        column = _dictionary(parsed[name])
        if len(entries := _matching(column.dictionary, ROUNDED_ID)):
            found = pc.is_in(column.indices, value_set=entries.cast(column.indices.type))
            for row in pc.indices_nonzero(found if asked is None else pc.and_(found, asked)).to_pylist():
                faults[row] = rounded(name, column[row].as_py())
    return faults


def _matching(texts: pa.StringArray, pattern: str, *, negate: bool = False) -> pa.UInt64Array:
    """The places of the texts in which the pattern is found; or, with `negate`, of the others."""
    found = pc.match_substring_regex(texts, pattern)
    return pc.indices_nonzero(pc.invert(found) if negate else found)


def _replaced(texts: pa.StringArray, places: pa.UInt64Array, others: Iterable[str | None]) -> pa.StringArray:
    """The texts with others at these places, which are in order."""
    if not len(places):
        return texts
    chosen = np.zeros(len(texts), dtype=bool)
    chosen[places.to_numpy()] = True
    return pc.replace_with_mask(texts, pa.array(chosen), pa.array(others, pa.string()))


def _dictionary(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.dictionary_encode()


def _map(column: pa.ChunkedArray | pa.Array, change: Callable[[str], str | None]) -> pa.DictionaryArray:
    values = _dictionary(column)
    changed = pa.array([change(value) for value in values.dictionary.to_pylist()], pa.string())
    return pa.DictionaryArray.from_arrays(values.indices, changed)
