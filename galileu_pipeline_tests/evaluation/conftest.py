"""Evaluations made by hand."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from galileu_pipeline.evaluation.estimates import Estimate, PreferenceAccuracy
from galileu_pipeline.evaluation.results import Evaluation, Judge, ModelFigures
from galileu_pipeline.evaluation.statistics import mean, preference_accuracy, proportion, win_rate

BASE, DPO, PPO = "base_model-000000000000", "dpo_model-111111111111", "ppo_model-222222222222"


def accuracy_of(right: int) -> PreferenceAccuracy:
    """Of a hundred pairs."""
    return preference_accuracy([1.0] * right + [0.0] * (100 - right), [0.5] * 100, range(100))


MakeEvaluation = Callable[..., Evaluation]


def figures(model_id: str, *, wins: int | None = None, ties: int = 0, n: int = 200, **changes: Any) -> ModelFigures:
    """A model that differs from the champion by its wins alone; the champion itself without any."""
    reigning = wins is None
    found: dict[str, Any] = {
        "id": model_id,
        "asset": model_id.split("-")[0],
        "preference_accuracy": accuracy_of(60),
        "preference_margin": mean([0.1, 0.2]),
        "reward": mean([0.0, 1.0]),
        "teacher_reward": mean([0.5, 1.5]),
        "win_rate": None if reigning else win_rate(wins or 0, ties, n),
        "length": mean([20.0, 22.0]),
        "length_ratio": None if reigning else Estimate(value=1.0, low=0.9, high=1.1, n=n),
        "repetition": mean([0.0, 0.1]),
        "empty": proportion(0, n),
        "unfinished": proportion(2, n),
        "other_language": proportion(0, n),
        "kl": mean([0.0, 0.1]),
        "perplexity": Estimate(value=20.0, low=18.0, high=22.0, n=16),
        "perplexity_ratio": Estimate(value=1.0, low=0.9, high=1.1, n=16),
        "canaries": proportion(12, 14),
        "canaries_lost": None if reigning else [],
    }
    return ModelFigures.model_validate({**found, **changes})


def evaluation(*models: ModelFigures, champion: str = BASE) -> Evaluation:
    judge, teacher = (
        Judge(id=name, accuracy=accuracy_of(80), rank_correlation=None)
        for name in ("control_reward_model-333333333333", "reward_model-444444444444")
    )
    return Evaluation(champion=champion, prompts=200, judge=judge, teacher=teacher, models=list(models))


@pytest.fixture
def better() -> Evaluation:
    return evaluation(figures(BASE), figures(DPO, wins=140))


def names(models: Sequence[ModelFigures]) -> list[str]:
    return [model.id for model in models]
