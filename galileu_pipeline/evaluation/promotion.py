"""The promotion rule: whether a candidate takes the champion's place, and why."""

from collections.abc import Collection, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.evaluation.estimates import Proportion, WinRate
from galileu_pipeline.evaluation.people import PeoplesVerdict
from galileu_pipeline.evaluation.results import Evaluation, ModelFigures
from galileu_pipeline.evaluation.settings import PromotionSettings
from galileu_pipeline.evaluation.statistics import lower_bound, upper_bound

Criterion = Literal[
    "win_rate",
    "people",
    "length_ratio",
    "perplexity_ratio",
    "repetition",
    "empty",
    "unfinished",
    "other_language",
    "lost_canaries",
    "worse_groups",
    "rolled_back",
]
Outcome = Literal["promoted", "awaiting_approval", "kept"]


class Finding(BaseModel):
    """One criterion for one candidate: what was found, what the limit is, and whether that passes."""

    model_config = ConfigDict(frozen=True)

    criterion: Criterion
    value: float
    limit: float
    passed: bool


class Verdict(BaseModel):
    """A candidate against the rule. `win_rate` is that against the champion, `value` of the finding its lower bound."""

    model_config = ConfigDict(frozen=True)

    id: str
    asset: str
    win_rate: WinRate
    findings: list[Finding]
    people: PeoplesVerdict | None = Field(None, description="their votes against the champion, if they decided")

    @property
    def passed(self) -> bool:
        return all(finding.passed for finding in self.findings)


class Decision(BaseModel):
    """What became of an evaluation."""

    model_config = ConfigDict(frozen=True)

    evaluation: str
    champion: str = Field(description="who was in service")
    outcome: Outcome
    chosen: str | None = Field(description="who takes the place, now or once a person agrees; None if nobody passed")
    confidence: float = Field(description="of the intervals of the win rates")
    verdicts: list[Verdict]


def decide(
    evaluation: Evaluation,
    evaluation_id: str,
    rule: PromotionSettings,
    rolled_back: Collection[str] = (),
    people: Sequence[PeoplesVerdict] = (),
) -> Decision:
    """Hold every candidate against the rule; of those that pass, the one that wins most is chosen.

    The error rate is shared among the candidates (Bonferroni), so that it holds for all of them together: candidates as
    good as the champion pass by chance in at most half of `rule.error_rate`, since only luck upwards promotes.

    Args:
        rolled_back: models that a person took out of service; only a person puts them back.
        people: what they say of candidates against the champion, at `confidence_of` the evaluation. Where there are
            `rule.min_votes`, they decide in the judge's place. Their interval holds at all times at once, so that the
            error rate does too, however often this is asked.
    """
    candidates, confidence = evaluation.candidates, confidence_of(evaluation, rule)
    enough = {found.one: found for found in people if found.votes >= rule.min_votes}
    verdicts = [
        verdict(
            candidate,
            evaluation.model(evaluation.champion),
            rule,
            confidence,
            rolled_back=candidate.id in rolled_back,
            people=enough.get(candidate.id),
        )
        for candidate in candidates
    ]
    passed = [candidate for candidate, found in zip(candidates, verdicts, strict=True) if found.passed]
    chosen = max(passed, key=_merit, default=None)
    outcome: Outcome = "kept"
    if chosen is not None:
        outcome = "promoted" if rule.approval == "automatic" else "awaiting_approval"
    return Decision(
        evaluation=evaluation_id,
        champion=evaluation.champion,
        outcome=outcome,
        chosen=chosen.id if chosen else None,
        confidence=round(confidence, 6),
        verdicts=verdicts,
    )


def confidence_of(evaluation: Evaluation, rule: PromotionSettings) -> float:
    """Of each candidate's interval, so that the error rate holds for all of them together."""
    return 1 - rule.error_rate / max(1, len(evaluation.candidates))


def verdict(
    candidate: ModelFigures,
    champion: ModelFigures,
    rule: PromotionSettings,
    confidence: float,
    *,
    rolled_back: bool,
    people: PeoplesVerdict | None,
) -> Verdict:
    """One candidate against the rule."""
    win_rate, length, lost = candidate.win_rate, candidate.length_ratio, candidate.canaries_lost
    assert win_rate is not None, "only the champion itself has no win rate"
    assert length is not None
    assert lost is not None
    wins: Criterion = "people" if people else "win_rate"
    bound = people.low if people else round(lower_bound(win_rate, confidence), 6)
    at_most: list[tuple[Criterion, float, float]] = [
        ("length_ratio", length.value, rule.max_length_ratio),
        ("perplexity_ratio", candidate.perplexity_ratio.value, rule.max_perplexity_ratio),
        ("repetition", candidate.repetition.value - champion.repetition.value, rule.max_repetition),
        ("empty", candidate.empty.value, rule.max_empty),
        ("unfinished", candidate.unfinished.value - champion.unfinished.value, rule.max_unfinished),
        ("other_language", _value(candidate.other_language) - _value(champion.other_language), rule.max_other_language),
        ("lost_canaries", len(lost), rule.max_lost_canaries),
        ("worse_groups", len(worse_groups(candidate, confidence)), rule.max_worse_groups),
        ("rolled_back", int(rolled_back), 0),
    ]
    return Verdict(
        id=candidate.id,
        asset=candidate.asset,
        win_rate=win_rate,
        findings=[
            Finding(criterion=wins, value=bound, limit=rule.min_win_rate, passed=bound > rule.min_win_rate),
            *(
                Finding(criterion=name, value=round(value, 6), limit=limit, passed=value <= limit)
                for name, value, limit in at_most
            ),
        ],
        people=people,
    )


def worse_groups(candidate: ModelFigures, confidence: float) -> list[str]:
    """Groups of questions in which the champion certainly wins more; they share the error rate (Bonferroni)."""
    groups = candidate.groups or {}
    each = 1 - (1 - confidence) / max(1, len(groups))
    return [name for name, found in groups.items() if upper_bound(found, each) < 0.5]


def _value(share: Proportion | None) -> float:
    """0 where an evaluation of before did not look."""
    return share.value if share else 0.0


def _merit(candidate: ModelFigures) -> tuple[float, float]:
    return (candidate.win_rate.value if candidate.win_rate else 0.0, candidate.reward.value)
