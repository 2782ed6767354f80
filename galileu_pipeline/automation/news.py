"""What is new since the last training, and whether it is worth another: from coin tosses a model learns nothing."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.evaluation.estimates import Proportion
from galileu_pipeline.evaluation.statistics import proportion
from galileu_pipeline.lineage.artifacts import Artifact

_CHANCE = 0.5


class News(BaseModel):
    """New pairs, the questions among them, and how often two people who chose between the same answers chose alike."""

    model_config = ConfigDict(frozen=True)

    pairs: int
    questions: int
    agreement: Proportion | None = Field(description="None where no two people chose between the same answers")

    def at_chance(self, least: int) -> bool:
        """Whether at least `least` pairs of people speak of it, and agree no more often than a coin would have them."""
        return self.agreement is not None and self.agreement.n >= least and self.agreement.low <= _CHANCE

    def __str__(self) -> str:
        said = f"{self.pairs:,} new pairs, {self.questions:,} new questions"
        if self.agreement is None:
            return f"{said}; no two people chose between the same answers"
        return f"{said}; people who chose between the same answers agree in {self.agreement}"


def news(now: Artifact, before: Artifact | None) -> News:
    """What `preference_pairs` holds now and did not hold before; all of it, where nothing is known of before."""
    pairs, questions, agreeing, compared = (
        new - old for new, old in zip(_counts(now), _counts(before) if before else (0, 0, 0, 0), strict=True)
    )
    if min(pairs, questions, agreeing, compared) < 0 or agreeing > compared:  # some is gone: it is another whole
        return news(now, None)
    return News(pairs=pairs, questions=questions, agreement=proportion(agreeing, compared) if compared else None)


def _counts(pairs: Artifact) -> tuple[int, int, int, int]:
    """Artifacts made before agreement was counted know nothing of it."""
    metrics: dict[str, Any] = pairs.manifest.metrics
    agreement = metrics.get("agreement", {})
    return (
        int(metrics.get("pairs", 0)),
        int(metrics.get("questions", 0)),
        int(agreement.get("agreeing", 0)),
        int(agreement.get("compared", 0)),
    )
