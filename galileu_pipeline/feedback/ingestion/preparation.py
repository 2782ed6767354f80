"""The texts of a batch made fit to learn from: repaired, masked, and people's ids hashed.

A batch is columns, not rows, and each different text is looked at once: most answers are rated by several people.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms, known
from galileu_pipeline.feedback.ingestion.cleaning import UNDAMAGED, TextCleaner
from galileu_pipeline.feedback.ingestion.masking import MAYBE_PERSONAL, mask

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
PERSON_COLUMNS = ("user_id", "session_id")
_MASKED = pa.map_(pa.string(), pa.int32())


@dataclass(frozen=True)
class RowPreparer:
    """Turns typed rows (`sql/parse_rows.sql`) into rows that can be judged (`sql/judge_rows.sql`)."""

    cleaner: TextCleaner
    pseudonyms: Pseudonyms

    def prepare(self, parsed: pa.Table) -> pa.Table:
        """The rows with clean texts (null where nothing is left), and more columns.

        `query_key`; `repaired`, whether cleaning changed a text; `masked`, how many identifiers of each kind (null
        where there are none); and for each text column `<name>_digest`, 128 bits of sha256 of the text.
        """
        columns = {name: parsed[name] for name in parsed.column_names}
        repaired = np.zeros(parsed.num_rows, dtype=bool)
        masked: dict[int, Counter[str]] = defaultdict(Counter)
        for name in TEXT_COLUMNS:
            texts = _dictionary(columns[name])
            clean = self._clean(texts.dictionary)
            repaired |= _of_rows(texts, pc.not_equal(clean, texts.dictionary))
            safe = clean.to_pylist()
            for entry in pc.indices_nonzero(pc.match_substring_regex(clean, MAYBE_PERSONAL)).to_pylist():
                safe[entry], found = mask(safe[entry])
                if found:
                    for row in pc.indices_nonzero(pc.equal(texts.indices, entry)).to_pylist():
                        masked[row].update(dict(found))
            columns[name] = _replace(texts, [text or None for text in safe])
            columns[f"{name}_digest"] = _replace(texts, [_digest(text) if text else None for text in safe])
        queries = _dictionary(columns["query"].dictionary_decode())
        keys = [self.cleaner.query_key(text) for text in queries.dictionary.to_pylist()]
        columns["query_key"] = _replace(queries, keys)
        columns["repaired"] = pa.array(repaired)
        for name in PERSON_COLUMNS:
            columns[name] = _map(columns[name], self._person)
        counts = [sorted(masked[row].items()) if row in masked else None for row in range(parsed.num_rows)]
        columns["masked"] = pa.array(counts, _MASKED)
        return pa.table(columns)

    def _person(self, identifier: str) -> str | None:
        named = known(identifier)
        return self.pseudonyms.of(named) if named else None

    def _clean(self, texts: pa.StringArray) -> pa.StringArray:
        """The texts repaired. Arrow finds the few that need it."""
        if not self.cleaner.repair:
            blank = pc.equal(pc.utf8_trim_whitespace(texts), "")
            return pc.if_else(blank, "", texts)
        clean = pc.utf8_trim_whitespace(texts).to_pylist()
        for entry in pc.indices_nonzero(pc.invert(pc.match_substring_regex(texts, UNDAMAGED))).to_pylist():
            clean[entry] = self.cleaner.text(texts[entry].as_py())
        return pa.array(clean, pa.string())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _dictionary(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.dictionary_encode()


def _map(column: pa.ChunkedArray, change: Callable[[str], str | None]) -> pa.DictionaryArray:
    values = _dictionary(column)
    return _replace(values, [change(value) for value in values.dictionary.to_pylist()])


def _replace(column: pa.DictionaryArray, values: Sequence[str | None]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(column.indices, pa.array(values, pa.string()))


def _of_rows(column: pa.DictionaryArray, of_entries: pa.BooleanArray) -> np.ndarray:
    """What holds for the rows, given what holds for the entries of their dictionary; False for nulls."""
    return of_entries.take(column.indices).fill_null(False).to_numpy(zero_copy_only=False)
