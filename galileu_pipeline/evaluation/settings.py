"""How models are compared, and when one takes the place of another."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from galileu_pipeline.evaluation.estimates import Proportion
from galileu_pipeline.training.settings import ModelFiles, Resources, Settings


class EvaluationSettings(Settings):
    """What the models are asked, and how much of it. Answers are the most likely ones, as the chat gives them."""

    max_prompts: int = Field(200, ge=1, description="held-out questions to answer; chosen by hash, so that few change")
    max_pairs: int = Field(2_000, ge=1, description="held-out pairs, and rated answers, to score; chosen likewise")
    max_new_tokens: int = Field(
        128, ge=1, description="longest answer, tokens; one that is longer counts as unfinished"
    )
    max_length: int = Field(
        1024, ge=16, description="tokens of question and answer; a question that leaves no room is left out and counted"
    )
    batch_size: int = Field(16, ge=1, description="answers generated at once")
    scoring_batch_size: int = Field(16, ge=1, description="answers that a model reads in one forward pass, to judge")


class PromotionSettings(Settings):
    """The rule by which a candidate becomes the champion: it must win, and must not be worse in anything else."""

    approval: Literal["automatic", "manual"] = Field(
        "automatic", description="manual: who passes waits for `galileu promote ID`"
    )
    tainted_champion: Literal["withdraw", "keep"] = Field(
        "withdraw", description="what becomes of a model in service when feedback it learnt from is erased"
    )
    min_win_rate: float = Field(
        0.5, ge=0, lt=1, description="the lower end of the win rate's interval against the champion must lie above it"
    )
    min_votes: int = Field(
        50,
        ge=1,
        description="side-by-side votes against the champion from which on people decide, not the judge",
    )
    error_rate: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="chance that one of several candidates as good as the champion passes (Bonferroni), two-sided",
    )
    max_length_ratio: float = Field(1.5, gt=0, description="mean characters of its answers, over the champion's")
    max_perplexity_ratio: float = Field(1.3, gt=0, description="on general text, over its base's: forgetting")
    max_repetition: float = Field(0.2, ge=0, le=1, description="share of repeated word sequences beyond the champion's")
    max_empty: float = Field(0.05, ge=0, le=1, description="share of empty answers")
    max_unfinished: float = Field(0.1, ge=0, le=1, description="share of answers cut off, beyond the champion's")
    max_other_language: float = Field(
        0.05, ge=0, le=1, description="share of answers in another language than the question's, beyond the champion's"
    )
    max_lost_canaries: int = Field(1, ge=0, description="canary questions the champion passes and the candidate fails")
    max_worse_groups: int = Field(0, ge=0, description="groups of questions in which it certainly loses")


class EvaluationSpec(Settings):
    """All that the process of an evaluation is told: `spec.json`. Paths are absolute."""

    output: Path = Field(description="an empty folder for the artifact's files")
    settings: EvaluationSettings
    champion: str = Field(description="id of the model that the others are compared with; it is among `models`")
    models: list[ModelFiles]
    judge: ModelFiles = Field(description="a reward model from which none of the models has learnt")
    teacher: ModelFiles = Field(description="the reward model from which PPO models have learnt")
    raters: Proportion | None = Field(None, description="how often one person orders two answers as the others do")
    dataset: Path = Field(description="folder of the reward dataset: test.parquet and answers.parquet")
    resources: Resources = Field(Resources(), description="of which the precision is each model's own matter")
