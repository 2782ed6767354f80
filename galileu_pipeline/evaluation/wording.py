"""Evaluations and decisions in words and tables, for pages, terminals and the Dagster UI."""

from collections.abc import Sequence
from typing import Literal

from galileu_pipeline.evaluation.estimates import Estimate
from galileu_pipeline.evaluation.measures import OTHER_QUESTIONS
from galileu_pipeline.evaluation.people import PeoplesVerdict
from galileu_pipeline.evaluation.promotion import Decision, Finding, Verdict
from galileu_pipeline.evaluation.results import Evaluation, Judge, ModelFigures
from galileu_pipeline.evaluation.settings import PromotionSettings
from galileu_pipeline.evaluation.texts import TEXTS
from galileu_pipeline.languages import Language, interval, number

# In the order of tables; the third says how many decimals suit the measure.
MEASURES: Sequence[tuple[str, int]] = (
    ("win_rate", 3),
    ("reward", 2),
    ("teacher_reward", 2),
    ("preference_accuracy", 3),
    ("preference_margin", 2),
    ("length", 1),
    ("length_ratio", 2),
    ("repetition", 3),
    ("empty", 3),
    ("unfinished", 3),
    ("other_language", 3),
    ("kl", 3),
    ("perplexity", 1),
    ("perplexity_ratio", 2),
    ("canaries", 3),
)
_BOUNDS = ("win_rate", "people")
_SHARES = ("repetition", "empty", "unfinished", "other_language")

Rows = list[tuple[str, ...]]


class Wording:
    """An evaluation, and what was decided on it if that is asked for, in one language."""

    def __init__(self, evaluation: Evaluation, language: Language) -> None:
        self.evaluation = evaluation
        self.language = language
        self.texts = TEXTS[language]

    def header(self, mark: Literal["in_service", "compared_with"] = "in_service") -> tuple[str, ...]:
        """The first line of `figures`: a column a model, the one the others are compared with marked as what it is."""
        return (self.texts["measure"], *(self._name(model, mark) for model in self.evaluation.models))

    def figures(self) -> Rows:
        """A row a measure, a cell a model."""
        models = self.evaluation.models
        rows = [
            (self.texts[name], *(self._estimate(getattr(model, name), digits) for model in models))
            for name, digits in MEASURES
        ]
        names = sorted({name for model in models for name in model.groups or ()})
        in_groups = [
            (
                self.texts["in_no_group"] if name == OTHER_QUESTIONS else self.texts["in_group"].format(group=name),
                *(self._estimate((model.groups or {}).get(name), 3) for model in models),
            )
            for name in names
        ]
        return [rows[0], *in_groups, *rows[1:]]

    def judges_header(self) -> tuple[str, ...]:
        """The first line of `judges`."""
        return (self.texts["judges"], *(judge.id for judge in self._judges))

    def judges(self) -> Rows:
        """How far the reward models can be trusted: a row a measure, a cell each; beside them, people themselves."""
        bands = sorted({(band.above, band.up_to) for judge in self._judges for band in judge.by_margin})
        rows = [(self.texts["judge_accuracy"], *(self._estimate(judge.accuracy, 3) for judge in self._judges))]
        for above, up_to in bands:
            found = [
                next((band.accuracy for band in judge.by_margin if band.above == above), None) for judge in self._judges
            ]
            name = self.texts["judge_band"].format(above=self.number(above), up_to=self.number(up_to))
            rows.append((name, *(self._estimate(accuracy, 3) for accuracy in found)))
        rows.append(
            (self.texts["rank_correlation"], *(self._estimate(judge.rank_correlation, 3) for judge in self._judges))
        )
        people = self._estimate(self.evaluation.raters, 3)
        return [*rows, (self.texts["raters"], *(people for _ in self._judges))]

    def win(self, model_id: str) -> str:
        """How often a model wins against the one it is compared with, in a sentence."""
        found = self.evaluation.model(model_id).win_rate
        assert found is not None, "only the model that the others are compared with has no win rate"
        counts = {name: number(getattr(found, name), self.language) for name in ("wins", "ties", "losses", "n")}
        return self.texts["win"].format(
            one=model_id,
            other=self.evaluation.champion,
            rate=self._percent(found.value, 1),
            low=self._percent(found.low, 1),
            high=self._percent(found.high, 1),
            **counts,
        )

    def people(self, found: PeoplesVerdict) -> str:
        """What people who saw two models side by side say, in a sentence or two."""
        if found.win_rate is None:
            return self.texts["no_votes"]
        counts = {
            name: number(getattr(found, name), self.language)
            for name in ("votes", "wins", "losses", "ties", "both_bad")
        }
        said = self.texts["votes"].format(
            one=found.one,
            other=found.other,
            rate=self._percent(found.win_rate, 1),
            low=self._percent(found.low, 1),
            high=self._percent(found.high, 1),
            **counts,
        )
        if found.better:
            return said + self.texts["votes_decide"].format(better=found.better)
        if found.more_votes is None:
            return said + self.texts["votes_decide_nothing"]
        return said + self.texts["more_votes_decide"].format(more=number(found.more_votes, self.language))

    def outcome(self, decision: Decision) -> str:
        """What was decided, in a sentence."""
        key = decision.outcome if decision.verdicts else "no_candidates"
        return self.texts[key].format(chosen=decision.chosen, champion=decision.champion)

    def reasons(self, decision: Decision) -> list[str]:
        """Why, in a sentence a candidate."""
        return [self._reason(verdict) for verdict in decision.verdicts]

    def rule(self, decision: Decision, rule: PromotionSettings) -> str:
        """The rule itself."""
        judge = self.evaluation.judge
        return self.texts["rule"].format(
            confidence=self._percent(decision.confidence, 1),
            min_win_rate=self._percent(rule.min_win_rate),
            min_votes=number(rule.min_votes, self.language),
            judge=judge.id,
            accuracy=self._percent(judge.accuracy.value),
        )

    def criteria(self, verdict: Verdict) -> Rows:
        """(criterion, found, limit, result) of one candidate."""
        return [
            (
                self.texts[f"criterion_{finding.criterion}"],
                self._value(finding, finding.value),
                self.texts["above" if finding.criterion in _BOUNDS else "at_most"].format(
                    limit=self._value(finding, finding.limit)
                ),
                self.texts["yes" if finding.passed else "no"],
            )
            for finding in verdict.findings
            if finding.criterion != "rolled_back" or not finding.passed
        ]

    def number(self, value: float, digits: int = 2) -> str:
        return number(value, self.language, digits)

    @property
    def _judges(self) -> list[Judge]:
        return [judge for judge in (self.evaluation.judge, self.evaluation.teacher) if judge is not None]

    def _reason(self, verdict: Verdict) -> str:
        if verdict.passed:
            return self.texts["passes"].format(id=verdict.id)
        reasons = [
            self.texts[f"because_{finding.criterion}"].format(
                value=self._value(finding, finding.value),
                limit=self._value(finding, finding.limit),
                wins=verdict.win_rate.wins,
                ties=verdict.win_rate.ties,
                losses=verdict.win_rate.losses,
                n=verdict.win_rate.n,
                **self._votes(verdict),
            )
            for finding in verdict.findings
            if not finding.passed
        ]
        *first, last = reasons
        return self.texts["fails"].format(
            id=verdict.id, reasons=self.texts["and"].join([", ".join(first), last]) if first else last
        )

    def _votes(self, verdict: Verdict) -> dict[str, str]:
        if verdict.people is None:
            return {}
        return {
            "votes": number(verdict.people.votes, self.language),
            "rate": self._percent(verdict.people.win_rate or 0.0, 1),
        }

    def _value(self, finding: Finding, value: float) -> str:
        if finding.criterion in ("lost_canaries", "worse_groups", "rolled_back"):
            return number(value, self.language)
        if finding.criterion in (*_BOUNDS, *_SHARES):
            return self._percent(value, 1)
        return number(value, self.language, 2)

    def _name(self, model: ModelFigures, mark: str) -> str:
        return f"{model.id} ({self.texts[mark]})" if model.id == self.evaluation.champion else model.id

    def _estimate(self, estimate: Estimate | None, digits: int) -> str:
        if estimate is None:
            return "–"
        return interval(estimate.value, estimate.low, estimate.high, self.language, digits)

    def _percent(self, share: float, digits: int = 0) -> str:
        return f"{number(100 * share, self.language, digits)}\u00a0%"  # a number and its unit stay on one line
