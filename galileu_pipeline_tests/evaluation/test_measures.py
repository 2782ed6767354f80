"""What is told of answers by reading them."""

import re

import pytest

from galileu_pipeline.evaluation.measures import (
    OTHER_QUESTIONS,
    Canary,
    canaries,
    changes_language,
    general_text,
    group_of,
    question_groups,
    repetition,
)


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        ("", 0.0),
        ("Sou Galileu.", 0.0),
        ("um dois três quatro cinco", 0.0),
        ("a b c a b c", 0.25),  # abc bca cab abc: one of four stood there before
        ("sim sim sim sim sim", 2 / 3),
        ("Sim, SIM; sim.", 0.0),
    ],
)
def test_repetition_by_hand(answer: str, share: float) -> None:
    assert repetition(answer) == pytest.approx(share)


def test_a_canary_wants_one_of_some_and_none_of_others() -> None:
    canary = Canary(id="x", prompt="?", any_of=[r"\bparis\b"], none_of=["londres"])
    assert canary.passes("A capital é Paris.")
    assert not canary.passes("A capital é Lyon.")
    assert not canary.passes("Paris, ou Londres.")
    assert not canary.passes("  ")
    assert Canary(id="x", prompt="?", none_of=["mal"]).passes("Tudo bem.")


def test_the_canaries_are_well_made() -> None:
    found = canaries()
    assert len({canary.id for canary in found}) == len({canary.prompt for canary in found}) == len(found) >= 12
    for canary in found:
        assert canary.any_of or canary.none_of
        for pattern in (*canary.any_of, *canary.none_of):
            re.compile(pattern)
    assert not next(canary for canary in found if canary.id == "no_loop").passes("muito muito muito muito muito bom")


@pytest.mark.parametrize(
    ("question", "group"),
    [
        ("Por que a Igreja o julgou?", "igreja"),
        ("O que é a LUA?", "céu"),
        ("Como um pêndulo se move?", "mecânica"),
        ("Onde você nasceu?", "vida"),
        ("A Igreja viu a Lua?", "igreja"),  # the first of them
        ("Qual é a capital da França?", OTHER_QUESTIONS),
    ],
)
def test_what_a_question_is_about(question: str, group: str) -> None:
    assert group_of(question, question_groups()) == group


def test_the_groups_are_well_made() -> None:
    groups = question_groups()
    assert len({group.id for group in groups} | {OTHER_QUESTIONS}) == len(groups) + 1
    for group in groups:
        assert not any(re.search(pattern, "") for pattern in group.any_of)


@pytest.mark.parametrize(
    ("question", "answer", "changes"),
    [
        ("O que você viu pelo telescópio?", "Vi as luas de Júpiter, e anotei as posições.", False),
        ("O que você viu pelo telescópio?", "I saw the moons of Jupiter, and wrote them down.", True),
        (
            "O que você viu pelo telescópio?",
            "Con mi telescopio vi que la Luna tiene montañas y valles, y que Júpiter tiene lunas.",
            True,
        ),
        ("O que você viu pelo telescópio?", "我用望远镜看到了木星的卫星。", True),
        ("What did you see through the telescope?", "Vi as luas de Júpiter, e anotei as posições.", True),
        ("What did you see through the telescope?", "I saw the moons of Jupiter.", False),
        ("O que você viu pelo telescópio?", "Sim.", False),  # could be anything
        ("O que você viu pelo telescópio?", "1564", False),
        ("O que você viu pelo telescópio?", "Eppur si muove, disse eu, e a Terra continuou a girar.", False),
        ("O que você viu pelo telescópio?", "", False),
        ("Júpiter?", "I saw the moons of Jupiter.", False),  # nobody knows what was spoken
    ],
)
def test_an_answer_in_another_language_is_noticed_where_that_is_certain(
    question: str, answer: str, changes: bool
) -> None:
    assert changes_language(question, answer) == changes


def test_there_is_text_to_read() -> None:
    assert len(general_text()) >= 16
    assert all(len(paragraph.split()) > 25 for paragraph in general_text())
