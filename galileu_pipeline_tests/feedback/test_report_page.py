"""The page that people read and send: whole, harmless, in their language."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from galileu_pipeline.evaluation.estimates import Proportion
from galileu_pipeline.evaluation.statistics import proportion
from galileu_pipeline.feedback.analytics.analysis import FeedbackAnalytics, analyse
from galileu_pipeline.feedback.analytics.report_page import feedback_page
from galileu_pipeline.feedback.analytics.texts import TEXTS
from galileu_pipeline.feedback.ingestion.reasons import Reason
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.languages import LANGUAGES, Language, number
from galileu_pipeline_tests.feedback.conftest import import_file
from galileu_pipeline_tests.feedback.test_imports import CHOICE, TIE, VOTE, json_lines

pytestmark = pytest.mark.slow

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>\u202egnp.exe'
VOID = {"meta", "img"}


class Page(HTMLParser):
    """Elements with their attributes; fails where they do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data


def page_of(analytics: FeedbackAnalytics, language: Language, *accuracies: tuple[str, Proportion, Proportion]) -> str:
    recorded = datetime(2026, 11, 24, 10, tzinfo=UTC)
    return feedback_page(
        analytics, accuracies, artifact="feedback_analytics-0123456789ab", recorded_at=recorded, language=language
    )


@pytest.fixture
def analytics(tmp_path: Path, warehouse: Warehouse) -> FeedbackAnalytics:
    rows = [
        {**VOTE, "feedback_id": f"{user}-{number}", "user_id": user, "rating": 1, "query": HOSTILE, "comment": HOSTILE}
        for user in ("ana", "bia", "caio")
        for number in range(400)
    ]
    tie = {**TIE, "model_left": HOSTILE, "model_right": "base"}
    import_file(warehouse, json_lines(tmp_path / "x", [*rows, CHOICE, tie, {**VOTE, "rating": 9, "query": "a@b.com"}]))
    with warehouse.open() as connection:
        return analyse(connection)


def test_both_languages_have_every_text() -> None:
    assert TEXTS["pt"].keys() == TEXTS["en"].keys()
    for texts in TEXTS.values():
        assert {f"reason_{reason.value}" for reason in Reason} <= texts.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_and_asks_nobody(analytics: FeedbackAnalytics, language: Language) -> None:
    page = Page(page_of(analytics, language))
    tags = [tag for tag, _ in page.elements]
    assert "script" not in tags
    assert tags.count("img") == 4
    for tag, attributes in page.elements:
        assert attributes.get("src", "data:").startswith("data:image/png;base64,") or tag != "img"
        assert not {"href", "onerror", "onload", "srcset"} & attributes.keys()
    assert ("html", {"lang": {"pt": "pt-BR", "en": "en"}[language]}) in page.elements
    assert any("default-src 'none'" in (attributes.get("content") or "") for _, attributes in page.elements)


def test_what_people_wrote_is_shown_as_text(analytics: FeedbackAnalytics) -> None:
    text = page_of(analytics, "en")
    assert "<script>" not in text
    assert "\u202e" not in text
    assert "<script>alert(1)</script>" in Page(text).words


def test_figures_in_the_numbers_of_the_language(analytics: FeedbackAnalytics) -> None:
    portuguese, english = (Page(page_of(analytics, language)).words for language in LANGUAGES)
    assert "3 pessoas deram 1.200 votos" in portuguese
    assert "3 people gave 1,200 votes" in english
    assert "A nota média é 1,00 de 5." in portuguese
    assert "a nota não vai de 1 a 5" in portuguese
    assert number(1234.5, "pt", 1) == "1.234,5"
    assert number(1234.5, "en", 1) == "1,234.5"


def test_models_by_strength(analytics: FeedbackAnalytics) -> None:
    portuguese, english = (Page(page_of(analytics, language)).words for language in LANGUAGES)
    assert "Modelos por força" in portuguese
    assert "By 1 votes of 1 people" in english
    assert "Modelos por força" not in Page(page_of(analytics.model_copy(update={"leaderboard": None}), "pt")).words


def test_the_models_of_today(analytics: FeedbackAnalytics) -> None:
    better, worse = proportion(60, 72), proportion(36, 72)
    words = Page(page_of(analytics, "pt", ("dpo_model", better, worse))).words
    assert "dpo_model" in words
    assert "0,833 [" in words
    assert TEXTS["pt"]["no_models"] in Page(page_of(analytics, "pt")).words


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_feedback_the_page_says_so(warehouse: Warehouse, language: Language) -> None:
    with warehouse.open() as connection:
        page = Page(page_of(analyse(connection), language))
    assert TEXTS[language]["no_feedback"] in page.words
    assert TEXTS[language]["nothing"] in page.words
