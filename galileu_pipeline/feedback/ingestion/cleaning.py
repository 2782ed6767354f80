"""Text repair, and the key that makes two queries the same question."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import ftfy

# Curly quotes and ligatures are the writer's own; only damage is repaired.
_FTFY = ftfy.TextFixerConfig(uncurl_quotes=False, fix_latin_ligatures=False, normalization="NFC", explain=False)
# No text of this kind is damaged: ASCII but "&", Portuguese letters and typographic signs, none of them beside another
# that could be the rest of one garbled character. Damage shows as signs in a row (Ã©, â€œ), entities (&amp;), combining
# or control characters. Valid in Python's syntax and in RE2's, so that Arrow can ask it of a whole column.
_PLAIN = r"[\n\t -%'-~]"
UNDAMAGED = (
    rf"^(?:{_PLAIN}|[àáâãçéêíóôõúü]+(?:{_PLAIN}|$)|[ÀÁÇÉÊÍÓÔÕÚÜ]{_PLAIN}|[ÃÂ][!-%'-~]"
    rf"|[‘’“”–—…]+(?:{_PLAIN}|$)|[•°ºª²³](?:{_PLAIN}|$))*$"
)
_UNDAMAGED = re.compile(UNDAMAGED.replace("$", r"\Z"))
_FINAL_PUNCTUATION = " \t\n?!.…,;:¿¡"


def repair_text(text: str) -> str:
    """`text` with encoding damage undone (ftfy), in Unicode form NFC, without outer white space.

    NFC, not NFKC: the compatibility form would turn 10⁸ into 108 and m/s² into m/s2 in what models learn from.
    """
    return text.strip() if _UNDAMAGED.match(text) else _fix(text)


@lru_cache(maxsize=8_192)
def _fix(text: str) -> str:
    return ftfy.fix_text(text, _FTFY).strip()


def fold_query(text: str) -> str:
    """`text` without what does not change a question: case, inner white space, final punctuation, look-alikes."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).rstrip(_FINAL_PUNCTUATION)


@dataclass(frozen=True)
class TextCleaner:
    """How incoming text is cleaned. With `repair` off, text and query keys stay byte for byte as they came."""

    repair: bool = True

    def text(self, text: str) -> str:
        return repair_text(text) if self.repair else text

    def query_key(self, cleaned_query: str) -> str:
        """The key of a query; a query of punctuation alone is its own key."""
        return (fold_query(cleaned_query) or cleaned_query) if self.repair else cleaned_query
