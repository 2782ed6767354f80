"""Text repair, what can be seen of a text, and query keys."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner, visible

CLEANER = TextCleaner()
TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
UPPER_CASE = st.text(
    st.sampled_from("ABCDEFGHIJLMNOPQRSTUVXZÀÁÂÃÇÉÊÍÓÔÕÚÜ \n.,;:!?()-–—…“”‘’«»\"'•·ªº°²³¹½¼§€£©®™\xa00123456789"),
    max_size=40,
)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    "text",
    [
        "A Terra não está parada.",
        "É verdade",
        "é verdade",
        "Não sei.",
        "às vezes",
        "Língua sólida",
        "AÇÃO E REAÇÃO",
        "MÉDIA",
        "FORÇA",
        "Ônibus e óculos",
        "ele disse: “aspas” — e d’água…",
        "😀 bom",
        "Привет",
        "São 30 °C, 5 m² e o 1º",
    ],
)
def test_a_text_garbled_as_a_whole_is_restored(text: str, encoding: str, times: int) -> None:
    broken = text
    for _ in range(times):
        broken = _misread(broken, encoding)
    assert CLEANER.text(broken) == text


@pytest.mark.parametrize(
    "text",
    [
        "&lt;b&gt; e &amp;nbsp; são entidades",
        "&eacute;",
        "IRMÃ”",
        "“IRMÃ”",
        'Ela disse: "vou amanhã…”',
        "MANHÃ–TARDE",
        "AMANHÃ—disse ele",
        "MAÇÃ®",
        "IRMÃ’S",
        "LÃ²",
        "PÍŠE",
        "amanhã—”",
        "até…”",
        "metade nÃ£o, metade não",  # not as a whole
        "ｆｕｌｌ ﬁm",
        "    def f():\n        return 1",
        "\tif x:\n\t\ty()",
        "\n\n1. um",
        "3×10⁸ m/s²",
    ],
)
def test_what_may_be_meant_stays(text: str) -> None:
    assert CLEANER.text(text) == text


@settings(deadline=None)
@given(UPPER_CASE)
def test_portuguese_in_capitals_stays(text: str) -> None:
    assert CLEANER.text(text) == text.rstrip()


@pytest.mark.parametrize(
    ("text", "cleaned"), [("a\r\nb\rc", "a\nb\nc"), ("e\u0301", "é"), ("fim. \n", "fim."), ("a\x00b\x1b[0m", "ab[0m")]
)
def test_what_nobody_sees_is_made_one(text: str, cleaned: str) -> None:
    assert CLEANER.text(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "\u200b",
        " \u200b\ufeff\n",
        "\u200d",
        "\ufe0f",
        "\u2800 \u2800",
        "\u3164",
        "\xad",
        "\x00",
        "\xa0",
        "\u2060\u2061",
        "\U000e0041",
        "\u200e\u200f",
        "\u3000",
        "\u2028",
        "\u180e",
        "\u200d\ufe0f",
        "\U000e0100",
    ],
)
def test_nothing_is_seen(text: str) -> None:
    assert visible(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Sim\u200b.",
        "Sim.\ufeff",
        "\u200bSim.",
        "Sim\u200d.",
        "S\u200cim.",
        "Sim.\ufe0f",
        " Sim.\n",
        "Si\xadm.",
        "Sim\u2060.",
        "Sim.\U000e0041",
        "\u202aSim.\u202c",
        "Sim.\u200d\u200c",
        "Si\u0000m.",
    ],
)
def test_the_same_is_seen(text: str) -> None:
    assert visible(text) == CLEANER.text(text).strip() == "Sim."


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d🔬",
        "👩🏽\u200d🚀",
        "👨\u200d👩\u200d👧",
        "🏳️\u200d🌈",
        "❤️",
        "❤️\u200d🔥",
        "1️⃣",
        "#️⃣ um",
        "©️",
        "می\u200cخواهم",
        "क्\u200dष",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ],
)
def test_joiners_stay_where_they_show(text: str) -> None:
    assert visible(text) == CLEANER.text(text) == text


@pytest.mark.parametrize(
    "ways",
    [
        [
            "Quem é você?",
            "quem é  você",
            "QUEM É VOCÊ ?",
            "quem e\u0301 você.",
            "\u200bQuem\u200b é você?",
            "quem é\nvocê",
        ],
        ["O que é “inércia”?", 'o que é "inércia"', "o que é «inércia»"],
        ["copo d’água", "copo d'água."],
        ["O que é C#?", "o que é c#"],
    ],
)
def test_a_question_has_one_key_however_it_is_typed(ways: list[str]) -> None:
    assert len({CLEANER.query_key(CLEANER.text(way)) for way in ways}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Quanto é 10²?", "Quanto é 102?"),
        ("5!", "5?"),
        ("5!", "5"),
        ("½", "1/2"),
        ("½ xícara", "1⁄2 xícara"),
        ("avô", "avó"),
        ("m³", "m3"),
        ("H₂O", "H2O"),
        ("№ 5", "No 5"),
        ("x…", "x"),
        ("a, b,", "a, b"),
        ("você?", "você?!"),
        ("5...", "5"),
        ("①", "1"),
        ("ａ", "a"),
        ("?", "."),
        ("C", "C++"),
        ("¿5?", "5?"),
        ("👩\u200d🔬", "👩🔬"),
    ],
)
def test_what_means_something_else_has_another_key(one: str, other: str) -> None:
    assert CLEANER.query_key(CLEANER.text(one)) != CLEANER.query_key(CLEANER.text(other))


def test_punctuation_alone_is_still_a_query() -> None:
    assert CLEANER.folded_query("?!") == "?!"
    assert CLEANER.folded_query("?") == "?"


def test_without_repair_nothing_changes() -> None:
    raw = "  NÃ£o\u200b  É? "
    assert TextCleaner(repair=False).text(raw) == TextCleaner(repair=False).folded_query(raw) == raw


@settings(deadline=None)
@given(TEXT)
def test_repair_twice_is_repair_once(text: str) -> None:
    once = CLEANER.text(text)
    assert CLEANER.text(once) == once


@settings(deadline=None)
@given(TEXT)
def test_folded_twice_is_folded_once(text: str) -> None:
    once = CLEANER.folded_query(text)
    assert CLEANER.folded_query(once) == once


def _misread(text: str, encoding: str) -> str:
    """UTF-8 taken for another encoding; bytes that it does not know become control characters, as browsers do."""
    return "".join(_character(byte, encoding) for byte in text.encode())


def _character(byte: int, encoding: str) -> str:
    try:
        return bytes([byte]).decode(encoding)
    except UnicodeDecodeError:
        return chr(byte)
