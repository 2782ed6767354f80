"""Markdown for the Dagster UI and reports. User text stays text."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

MAX_TEXT_CHARS = 120
_NOTHING = "_Nothing yet._"
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# What Markdown, its GitHub flavour (tables, strike-through, bare addresses, mentions) or TeX would take for markup.
_MARKUP = re.compile(r"([\\`*_\[\]{}()#|~$@:!^])")
_BARE_ADDRESS = re.compile(r"(?i)(www)\.")
_ZERO_WIDTH_JOINER = "\u200d"  # part of many emoji


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; the cells are Markdown already. The first column is text, the others are numbers."""
    body = [_line(row) for row in rows]
    if not body:
        return _NOTHING
    return "\n".join([_line(header), _line([":--", *["--:"] * (len(header) - 1)]), *body])


def escape(text: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """Untrusted `text` on one line of at most `max_chars` characters, showing as written in Markdown and HTML."""
    short = shorten(" ".join(printable(text).split()), max_chars)
    return _BARE_ADDRESS.sub(r"\1\\.", _MARKUP.sub(r"\\\1", short).translate(_HTML))


def shorten(text: str, max_chars: int) -> str:
    """`text` of at most `max_chars` characters, the last being an ellipsis where some were left out."""
    return text if len(text) <= max_chars else text[: max_chars - 1].rstrip() + "…"


def printable(text: str) -> str:
    """`text` with a space for each control or invisible character, such as those that reverse the reading direction."""
    return "".join(
        " " if unicodedata.category(char).startswith("C") and char != _ZERO_WIDTH_JOINER else char for char in text
    )


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells) + " |"
