"""Text repair, and the key that makes two queries the same question."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import ftfy

# Curly quotes and ligatures are the writer's own; only damage is repaired.
_FTFY = ftfy.TextFixerConfig(uncurl_quotes=False, fix_latin_ligatures=False, normalization="NFC", explain=False)
_FINAL_PUNCTUATION = " \t\n?!.…,;:¿¡"


@lru_cache(maxsize=65_536)
def repair_text(text: str) -> str:
    """`text` with encoding damage undone (ftfy), in Unicode form NFC, without outer white space.

    NFC, not NFKC: the compatibility form would turn 10⁸ into 108 and m/s² into m/s2 in what models learn from.
    """
    if text.isascii() and text.isprintable() and "&" not in text:
        return text.strip()
    return ftfy.fix_text(text, _FTFY).strip()


@lru_cache(maxsize=65_536)
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
