"""Text repair and query keys."""

from hypothesis import given
from hypothesis import strategies as st

from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner

CLEANER = TextCleaner()
TEXT = st.text(st.characters(codec="utf-8"), max_size=60)


def test_double_encoding_is_undone() -> None:
    broken = "A Terra não está parada.".encode().decode("cp1252")
    assert CLEANER.text(broken) == "A Terra não está parada."


def test_superscripts_survive_in_text_and_fold_in_the_key() -> None:
    assert CLEANER.text("3×10⁸ m/s²") == "3×10⁸ m/s²"
    assert CLEANER.query_key("Quanto é 10⁸?") == CLEANER.query_key("quanto é 108")


def test_a_question_has_one_key_however_it_is_typed() -> None:
    ways = ["Quem é você?", "quem é  você", "QUEM É VOCÊ ?!", "quem e\u0301 você..."]
    assert len({CLEANER.query_key(CLEANER.text(way)) for way in ways}) == 1


def test_accents_matter() -> None:
    assert CLEANER.query_key("avô") != CLEANER.query_key("avó")


def test_punctuation_alone_is_still_a_query() -> None:
    assert CLEANER.query_key("?!") == "?!"


def test_without_repair_nothing_changes() -> None:
    raw = "  NÃ£o  É? "
    assert TextCleaner(repair=False).text(raw) == TextCleaner(repair=False).query_key(raw) == raw


@given(TEXT)
def test_repair_twice_is_repair_once(text: str) -> None:
    once = CLEANER.text(text)
    assert CLEANER.text(once) == once


@given(TEXT)
def test_the_key_of_a_key_is_itself(text: str) -> None:
    key = CLEANER.query_key(text)
    assert CLEANER.query_key(key) == key
