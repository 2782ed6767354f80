"""The texts of a batch made fit to learn from: repaired, masked, and people's ids hashed, in documents beside them too.

A batch is columns, not rows, and each different text is looked at once: most answers are rated by several people.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms, known
from galileu_pipeline.feedback.ingestion.cleaning import UNDAMAGED, TextCleaner, visible
from galileu_pipeline.feedback.ingestion.documents import DOCUMENT_COLUMNS, MAYBE_CHANGED, DocumentMasker
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
        """The rows with clean texts (null where nothing can be seen), safe documents, and more columns.

        `query_key`; `repaired`, whether cleaning changed a text; `masked`, how many identifiers of each kind (null
        where there are none); and for each text column `<name>_digest`, 128 bits of sha256 of what can be seen of it.
        """
        columns = {name: parsed[name] for name in parsed.column_names}
        repaired = np.zeros(parsed.num_rows, dtype=bool)
        masked: dict[int, Counter[str]] = defaultdict(Counter)
        for name in TEXT_COLUMNS:
            texts = _dictionary(columns[name])
            unlikely = _matching(texts.dictionary, UNDAMAGED, negate=True)
            clean = self._clean(texts.dictionary, unlikely)
            repaired |= _of_rows(texts, pc.not_equal(clean, texts.dictionary))
            personal = _matching(clean, MAYBE_PERSONAL)
            safe = _masked(texts, clean, personal, mask, masked)
            looked_at = pa.array(np.union1d(unlikely, personal))
            seen = _replaced(pc.utf8_trim_whitespace(safe), looked_at, map(visible, safe.take(looked_at).to_pylist()))
            digests = [_digest(text) if text else None for text in seen.to_pylist()]
            columns[name] = _with_values(texts, pc.if_else(pc.equal(seen, ""), None, safe))
            columns[f"{name}_digest"] = _with_values(texts, digests)
        masker = DocumentMasker(self.pseudonyms)
        for name in DOCUMENT_COLUMNS:
            documents = _dictionary(columns[name])
            changed = _matching(documents.dictionary, MAYBE_CHANGED)
            safe = _masked(documents, documents.dictionary, changed, partial(masker.text, column=name), masked)
            columns[name] = _with_values(documents, safe)
        queries = _dictionary(columns["query"].dictionary_decode())
        keys = [self.cleaner.query_key(text) for text in queries.dictionary.to_pylist()]
        columns["query_key"] = _with_values(queries, keys)
        columns["repaired"] = pa.array(repaired)
        for name in PERSON_COLUMNS:
            columns[name] = _map(columns[name], self._person)
        counts = [sorted(masked[row].items()) if row in masked else None for row in range(parsed.num_rows)]
        columns["masked"] = pa.array(counts, _MASKED)
        return pa.table(columns)

    def _person(self, identifier: str) -> str | None:
        named = known(identifier)
        return self.pseudonyms.of(named) if named else None

    def _clean(self, texts: pa.StringArray, unlikely: pa.UInt64Array) -> pa.StringArray:
        """The texts repaired: white space at the end of all, the rest in those that Arrow finds unlikely."""
        if not self.cleaner.repair:
            return texts
        repaired = map(self.cleaner.text, texts.take(unlikely).to_pylist())
        return _replaced(pc.utf8_rtrim_whitespace(texts), unlikely, repaired)


def _masked(
    rows: pa.DictionaryArray,
    texts: pa.StringArray,
    personal: pa.UInt64Array,
    change: Callable[[str], tuple[str | None, Iterable[tuple[str, int]]]],
    counts: dict[int, Counter[str]],
) -> pa.StringArray:
    """The texts of the rows' dictionary, those that may be personal changed; what was found goes to `counts`."""
    made_safe = [change(text) for text in texts.take(personal).to_pylist()]
    for entry, (_, found) in zip(personal.to_pylist(), made_safe, strict=True):
        if found:
            for row in pc.indices_nonzero(pc.equal(rows.indices, entry)).to_pylist():
                counts[row].update(dict(found))
    return _replaced(texts, personal, [text for text, _ in made_safe])


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


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _dictionary(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.dictionary_encode()


def _map(column: pa.ChunkedArray, change: Callable[[str], str | None]) -> pa.DictionaryArray:
    values = _dictionary(column)
    return _with_values(values, [change(value) for value in values.dictionary.to_pylist()])


def _with_values(column: pa.DictionaryArray, values: Sequence[str | None] | pa.StringArray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(column.indices, pa.array(values, pa.string()))


def _of_rows(column: pa.DictionaryArray, of_entries: pa.BooleanArray) -> np.ndarray:
    """What holds for the rows, given what holds for the entries of their dictionary; False for nulls."""
    return of_entries.take(column.indices).fill_null(False).to_numpy(zero_copy_only=False)
