"""Text repair, what can be seen of a text, and the key that makes two queries the same question."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import ftfy.bad_codecs  # noqa: F401 (brings the codec sloppy-windows-1252: all 256 bytes, as browsers read them)

# Signs that Portuguese and English texts have beside ASCII and letters; Windows-1252 has them between 0x80 and 0xBF,
# where the second and later bytes of UTF-8 lie.
_SIGNS = "‘’“”–—…•€™§©®ª«°²³·¹º»¼½¾"
# No text of this kind needs a closer look: nothing invisible, nothing that could be composed, and no letter beside a
# sign where both might be one garbled character. Valid in Python's syntax and in RE2's, so that Arrow can ask it of a
# whole column.
UNDAMAGED = rf"^(?:[\n\t -~]|[À-ÿ]+(?:[\n\t -~]|$)|[{_SIGNS}]+(?:[\n\t -~]|$))*$"
_UNDAMAGED = re.compile(UNDAMAGED.replace("$", r"\Z"))

_ENCODINGS = ("sloppy-windows-1252", "latin-1")
# What nobody writes right behind a letter: control characters, and some signs of Windows-1252. £ and the like, which
# are the second half of small letters (Ã£ is ã), prove nothing in a text all in capitals.
_UNWRITTEN, _UNWRITTEN_SMALL = "\x80-\x9fƒˆ˜‰ŠŒŽšœžŸ", "¡¢£¤¥¦§¨¬¯±´µ¶¸¼½¾¿"
# Signs that end a word; what goes on behind them in small letters is no word that began in capitals.
_ENDING = "€™©®°ª²³¹º\xad"
# Capitals that begin a garbled character. The others with accents stand before Š, Œ and Ž in words such as PÍŠE.
_LEADS = "ÂÃÄÅËÎÏÐÑ×Ø"
# Of a text that can be read again as UTF-8, each of these shows that it must be. IRMÃ” and MANHÃ–TARDE can be too, and
# are right as they stand.
_GARBLED = re.compile(
    rf"[a-z][Â-ß]"  # nÃ£o
    rf"|[{_LEADS}à-ô][€„‚]?[{_UNWRITTEN}]|â[€„‚]"  # Ã‰, ðŸ˜€, â€¦
    rf"|[{_LEADS}][{_ENDING}][a-z]|Ã[†‡][A-Za-z]"  # SÃ³lido, FORÃ‡A
)
# The same, where there are small letters too: Ã© isso?
_GARBLED_SMALL = re.compile(
    rf"[{_LEADS}][{_UNWRITTEN_SMALL}]|(?<!\w)(?:Ã[©\xa0]|Â[°ºª]|Ã[“”‘’‚„][a-z])",
)
_SMALL_LETTER = re.compile("[a-z]")

# Unicode's "default ignorable" characters and controls, without line breaks and tabs, joiners and variation selectors;
# among them the letters that are blank: Hangul fillers.
_INVISIBLE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e001f"
)
# Joiners bind emoji and letters of scripts that are not Latin. Selectors and tags change the sign they follow.
_JOINERS, _SELECTORS = "\u200c\u200d", "\ufe00-\ufe0f\U000e0020-\U000e007f\U000e0100-\U000e01ef"
_PLAIN = r"\s\x00-\u024f\u2000-\u206f"
_MAYBE_UNSEEN = re.compile(rf"[{_INVISIBLE}{_JOINERS}{_SELECTORS}]")
_UNSEEN = re.compile(
    rf"[{_INVISIBLE}]"
    rf"|(?<![^{_PLAIN}])[{_JOINERS}]+|[{_JOINERS}]+(?![^{_PLAIN}])"
    rf"|(?<![^\s\x00-\x7f])(?!\ufe0f\u20e3)[{_SELECTORS}]+"
)
_BLANK = "\u2800 \t\n"  # braille without dots, and what may stand between two
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»″", '"') | dict.fromkeys("‘’‚‛‹›′", "'"))
_FINAL_MARKS = (".", "?")


def repair_text(text: str) -> str:
    """`text` as its writer saw it, as far as that is certain, in Unicode form NFC, without white space at its end.

    A text that as a whole is UTF-8 read as Windows-1252 or Latin-1 is read rightly. Line breaks become one character,
    and what cannot be seen goes. Nothing else: neither entities (a text about HTML has them) nor indentation change.

    NFC, not NFKC: the compatibility form would turn 10⁸ into 108 and m/s² into m/s2 in what models learn from.
    """
    return text.rstrip() if _UNDAMAGED.match(text) else _repair(text)


def visible(text: str) -> str:
    """What can be seen of `text`: by it texts are empty, or the same. Joined emoji stay joined."""
    seen = unicodedata.normalize("NFC", _without_unseen(text)).strip()
    return seen if seen.strip(_BLANK) else ""


def fold_query(text: str) -> str:
    """`text` without what does not change a question: case, white space, kinds of quotes, one final . or ?"""
    folded = unicodedata.normalize("NFC", visible(text).casefold()).translate(_QUOTES)
    key = " ".join(folded.split())
    bare = key[:-1].rstrip()
    # Of several, they are an ellipsis or an emphasis.
    return bare if key.endswith(_FINAL_MARKS) and not bare.endswith(_FINAL_MARKS) else key


def text_digest(text: str) -> str:
    """128 bits of sha256, in 32 hex digits: enough to tell texts apart, even those that somebody made up for it."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class TextCleaner:
    """How incoming text is cleaned. With `repair` off, text and query keys stay byte for byte as they came."""

    repair: bool = True

    def text(self, text: str) -> str:
        return repair_text(text) if self.repair else text

    def folded_query(self, cleaned_query: str) -> str:
        """By what two queries are the same question; a query of which nothing would be left stays as it is."""
        return (fold_query(cleaned_query) or cleaned_query) if self.repair else cleaned_query

    def query_key(self, cleaned_query: str) -> str:
        """The key of a question: the digest of its folded query."""
        return text_digest(self.folded_query(cleaned_query))


@lru_cache(maxsize=8_192)
def _repair(text: str) -> str:
    while (decoded := _decoded(text)) != text:  # garbled twice, as it may well be
        text = decoded
    one_break = text.replace("\r\n", "\n").replace("\r", "\n")
    seen = unicodedata.normalize("NFC", _without_unseen(one_break)).rstrip()
    return seen if seen == text else _repair(seen)


def _without_unseen(text: str) -> str:
    while _MAYBE_UNSEEN.search(text) and (seen := _UNSEEN.sub("", text)) != text:
        text = seen  # what is left of a joiner may be nothing to join
    return text


def _decoded(text: str) -> str:
    """`text` read again as UTF-8, if it can be as a whole and something in it shows that it must be."""
    for encoding in _ENCODINGS:
        try:
            decoded = text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        return decoded if decoded != text and _is_garbled(text) else text
    return text


def _is_garbled(text: str) -> bool:
    small_too = _SMALL_LETTER.search(text) and _GARBLED_SMALL.search(text)
    return bool(small_too or _GARBLED.search(text))
