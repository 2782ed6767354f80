"""Text repair and query keys."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from galileu_pipeline.feedback.cleaning import TextCleaner

CLEANER = TextCleaner()

# Damage as it comes: UTF-8 read as Latin-1, HTML entities, invisible characters, white space of all kinds.
DAMAGE = ["Ã©", "Ã£", "â€™", "&amp;", "&lt;", "<", "\ufeff", "\u200b", "\xa0", "\r\n", "\u2028", "\x1b[0m", "e\u0301"]
TEXT = st.lists(st.sampled_from(DAMAGE) | st.text(st.characters(codec="utf-8"), max_size=8), max_size=6).map("".join)

# Letters whose capital folds back to the same letter, which is not so of the Turkish ı; and signs that are not final
# punctuation.
LETTERS = [char for char in map(chr, range(0x20, 0x250)) if char.isalpha() and char.upper().casefold() == char.casefold()]
QUESTION = st.lists(st.text([*LETTERS, *"0123456789¹²³⁸-/+"], min_size=1, max_size=6), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("damaged", "repaired"),
    [
        ("A Terra não está parada.".encode().decode("cp1252"), "A Terra não está parada."),
        ("Júpiter não é uma estrela".encode().decode("latin-1"), "Júpiter não é uma estrela"),
        ("você".encode().decode("latin-1").encode().decode("latin-1"), "você"),  # twice over
        ("Sol &amp; Lua", "Sol & Lua"),
        ("  a Lua\r\ngira \n", "a Lua\ngira"),
        ("e\u0301 nova\x00", "é nova"),
    ],
)
def test_damage_is_undone(damaged: str, repaired: str) -> None:
    assert damaged != repaired
    assert CLEANER.text(damaged) == repaired


@pytest.mark.parametrize(
    "text", ["3×10⁸ m/s²", "“aspas” e ‘plicas’", "a ﬁta", "½ π ≠ ∞", "É 🌖, não 🌕", "¿Qué? ¡Sí!", "if a < b && c > d:"]
)
def test_what_is_not_damage_stays(text: str) -> None:
    assert CLEANER.text(text) == text


def test_superscripts_fold_in_the_key() -> None:
    assert CLEANER.query_key("Quanto é 10⁸ m/s²?") == CLEANER.query_key("quanto é 108 M/S2")


def test_a_question_has_one_key_however_it_is_typed() -> None:
    ways = ["Quem é você?", "quem é  você", "\tQUEM É\nVOCÊ ?!", "quem e\u0301 você...", "Quem é você…", "Quem é você ？"]
    assert {CLEANER.query_key(CLEANER.text(way)) for way in ways} == {"quem é você"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("avô", "avó"), ("o que é a Lua", "o que é o Sol"), ("-5 + 3", "5 + 3"), ("c", "c++"), (".net", "net"), ("?", "!")],
)
def test_different_questions_keep_different_keys(one: str, other: str) -> None:
    assert CLEANER.query_key(one) != CLEANER.query_key(other)


def test_punctuation_alone_is_still_a_query() -> None:
    assert CLEANER.query_key("?!") == "?!"


@given(TEXT)
def test_without_repair_nothing_changes(text: str) -> None:
    as_it_came = TextCleaner(repair=False)
    assert as_it_came.text(text) == as_it_came.query_key(text) == text


@given(TEXT)
@example("\xa0Ã©")  # the space that is cut off in the end takes part in the first repair
def test_repair_twice_is_repair_once(text: str) -> None:
    once = CLEANER.text(text)
    assert CLEANER.text(once) == once


@given(TEXT)
@example("ß\u0301")  # folds to s and an s that then takes the accent
def test_the_key_of_a_key_is_itself(text: str) -> None:
    key = CLEANER.query_key(CLEANER.text(text))
    assert CLEANER.query_key(key) == key


@given(
    words=QUESTION,
    spaces=st.lists(st.sampled_from([" ", "  ", "\t", "\n", "\xa0"]), min_size=6, max_size=6),
    end=st.text(" ?!.…,;:", max_size=4),
    retype=st.sampled_from([str.upper, str.lower, str.swapcase, str.title, str.casefold]),
)
def test_typing_a_question_anew_gives_the_same_key(
    words: list[str], spaces: list[str], end: str, retype: Callable[[str], str]
) -> None:
    retyped = retype(spaces[0] + "".join(word + space for word, space in zip(words, spaces[1:], strict=False))) + end
    assert CLEANER.query_key(retyped) == CLEANER.query_key(" ".join(words))
