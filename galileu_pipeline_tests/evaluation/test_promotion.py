"""The promotion rule: who passes, why not, and how often it errs."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from galileu_pipeline.evaluation.estimates import Estimate
from galileu_pipeline.evaluation.people import PeoplesVerdict
from galileu_pipeline.evaluation.promotion import Decision, decide, worse_groups
from galileu_pipeline.evaluation.results import Evaluation
from galileu_pipeline.evaluation.settings import PromotionSettings
from galileu_pipeline.evaluation.statistics import mean, proportion, win_rate
from galileu_pipeline.evaluation.texts import TEXTS
from galileu_pipeline.evaluation.wording import Wording
from galileu_pipeline_tests.evaluation.conftest import BASE, DPO, PPO, evaluation, figures

RULE = PromotionSettings()
TRIALS, PROMPTS = 2_000, 200


def decided(found: Evaluation, rule: PromotionSettings = RULE, rolled_back: tuple[str, ...] = ()) -> Decision:
    return decide(found, "model_evaluation-444444444444", rule, rolled_back)


def test_a_clear_winner_is_promoted(better: Evaluation) -> None:
    decision = decided(better)
    assert (decision.outcome, decision.chosen, decision.champion) == ("promoted", DPO, BASE)
    assert decision.confidence == 0.95


def test_a_narrow_winner_is_not() -> None:
    decision = decided(evaluation(figures(BASE), figures(DPO, wins=110)))
    assert (decision.outcome, decision.chosen) == ("kept", None)
    (verdict,) = decision.verdicts
    assert [finding.criterion for finding in verdict.findings if not finding.passed] == ["win_rate"]


def said(votes: int, low: float, one: str = DPO) -> PeoplesVerdict:
    return PeoplesVerdict(
        one=one,
        other=BASE,
        votes=votes,
        wins=votes,
        losses=0,
        ties=0,
        both_bad=0,
        win_rate=1.0,
        low=low,
        high=1.0,
        more_votes=None,
    )


@pytest.mark.parametrize(
    ("judged", "votes", "low", "outcome", "criterion"),
    [
        (140, 0, 0.0, "promoted", "win_rate"),
        (140, 49, 0.3, "promoted", "win_rate"),  # too few to count
        (140, 50, 0.3, "kept", "people"),
        (60, 50, 0.51, "promoted", "people"),
        (60, 49, 0.51, "kept", "win_rate"),
    ],
)
def test_where_enough_people_voted_they_decide(
    judged: int, votes: int, low: float, outcome: str, criterion: str
) -> None:
    found = evaluation(figures(BASE), figures(DPO, wins=judged))
    decision = decide(found, "model_evaluation-444444444444", RULE, people=[said(votes, low)])
    assert decision.outcome == outcome
    (verdict,) = decision.verdicts
    assert verdict.findings[0].criterion == criterion
    for language in ("pt", "en"):
        wording = Wording(found, language)
        (reason,) = wording.reasons(decision)
        assert "{" not in reason + wording.rule(decision, RULE)
        assert wording.criteria(verdict)[0][2].startswith("acima de" if language == "pt" else "above")


def test_people_who_voted_promote_nobody_that_fails_in_something_else() -> None:
    found = evaluation(figures(BASE), figures(DPO, wins=140, empty=proportion(11, 200)))
    assert decide(found, "model_evaluation-444444444444", RULE, people=[said(80, 0.6)]).outcome == "kept"


def test_of_two_that_pass_the_one_that_wins_more_is_chosen() -> None:
    decision = decided(evaluation(figures(BASE), figures(DPO, wins=140), figures(PPO, wins=150)))
    assert decision.chosen == PPO
    assert decision.confidence == 0.975  # the error is shared between the two


def test_the_champion_and_the_base_are_no_candidates() -> None:
    found = evaluation(figures(BASE, wins=190), figures(DPO), champion=DPO)
    assert decided(found).verdicts == []
    assert Wording(found, "en").outcome(decided(found)).endswith("there is no other model to compare with.")


@pytest.mark.parametrize(
    ("criterion", "changes"),
    [
        ("length_ratio", {"length_ratio": Estimate(value=1.6, low=1.5, high=1.7, n=200)}),
        ("perplexity_ratio", {"perplexity_ratio": Estimate(value=1.4, low=1.3, high=1.5, n=16)}),
        ("repetition", {"repetition": mean([0.3, 0.3])}),
        ("empty", {"empty": proportion(11, 200)}),
        ("unfinished", {"unfinished": proportion(30, 200)}),
        ("other_language", {"other_language": proportion(11, 200)}),
        ("lost_canaries", {"canaries_lost": ["two_plus_two", "no_weapons"]}),
        ("worse_groups", {"groups": {"church": win_rate(1, 0, 20), "sky": win_rate(180, 0, 180)}}),
    ],
)
def test_a_winner_that_is_worse_in_something_else_is_not_promoted(criterion: str, changes: dict[str, Any]) -> None:
    found = evaluation(figures(BASE), figures(DPO, wins=190, **changes))
    decision = decided(found)
    assert decision.outcome == "kept"
    (verdict,) = decision.verdicts
    assert [finding.criterion for finding in verdict.findings if not finding.passed] == [criterion]
    for language in ("pt", "en"):
        (reason,) = Wording(found, language).reasons(decision)
        assert DPO in reason
        assert "{" not in reason


@pytest.mark.parametrize(("wins", "worse"), [(10, False), (6, False), (2, True), (0, True)])
def test_a_group_of_questions_is_worse_where_that_is_certain(wins: int, worse: bool) -> None:
    groups = {"church": win_rate(wins, 0, 20), "life": win_rate(0, 0, 2), "sky": win_rate(150, 0, 178)}
    decision = decided(evaluation(figures(BASE), figures(DPO, wins=150 + wins, groups=groups)))
    assert decision.outcome == ("kept" if worse else "promoted")


def test_of_a_candidate_as_good_as_the_champion_hardly_ever_a_group_seems_worse() -> None:
    rng = np.random.default_rng(3)
    sizes = {"church": 20, "life": 40, "other": 80, "sky": 60}
    rate = cache(win_rate)  # the same few come again and again
    alike, found = figures(DPO, wins=100), 0
    for _ in range(2_000):
        groups = {name: rate(int(rng.binomial(size, 0.5)), 0, size) for name, size in sizes.items()}
        found += bool(worse_groups(alike.model_copy(update={"groups": groups}), 0.95))
    assert found / 2_000 <= 0.05


def test_whom_a_person_took_out_only_a_person_puts_back(better: Evaluation) -> None:
    decision = decided(better, rolled_back=(DPO,))
    assert decision.outcome == "kept"
    assert "a person took it out of service" in Wording(better, "en").reasons(decision)[0]


def test_with_manual_approval_the_winner_waits(better: Evaluation) -> None:
    decision = decided(better, PromotionSettings(approval="manual"))
    assert (decision.outcome, decision.chosen) == ("awaiting_approval", DPO)
    assert f"galileu promote {DPO}" in Wording(better, "pt").outcome(decision)


def test_both_languages_say_the_same_things() -> None:
    assert TEXTS["pt"].keys() == TEXTS["en"].keys()


def share_promoted(rate: float, candidates: int, ties: float = 0.0) -> float:
    """Of so many trials, how often somebody is promoted whose answers win at that rate, apart from ties."""
    random = np.random.default_rng(0)
    promoted, champion, alike = 0, figures(BASE), figures(DPO, wins=0)
    equal = evaluation(champion, alike)
    for _ in range(TRIALS):
        models = []
        for number in range(candidates):
            even = int(random.binomial(PROMPTS, ties))
            wins = int(random.binomial(PROMPTS - even, rate))
            changes = {"id": f"dpo_model-{number:012}", "win_rate": win_rate(wins, even, PROMPTS)}
            models.append(alike.model_copy(update=changes))
        promoted += decided(equal.model_copy(update={"models": [champion, *models]})).outcome == "promoted"
    return promoted / TRIALS


@pytest.mark.parametrize(("candidates", "ties"), [(1, 0.0), (1, 0.5), (3, 0.0)])
def test_equals_are_promoted_by_chance_in_one_of_twenty_trials_at_most(candidates: int, ties: float) -> None:
    assert share_promoted(0.5, candidates, ties) <= 0.05


def test_a_model_that_wins_seven_in_ten_is_promoted_nearly_always() -> None:
    assert share_promoted(0.7, 1) >= 0.95
    assert share_promoted(0.7, 3) >= 0.95
