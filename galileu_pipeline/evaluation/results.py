"""What an evaluation found. Every figure has its 95 % interval."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.evaluation.estimates import Estimate, Mean, PreferenceAccuracy, Proportion, WinRate

RESULT_FILE, ANSWERS_FILE = "evaluation.json", "answers.jsonl"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class ModelFigures(_Record):
    """One model on the held-out questions. What compares with the champion is None for the champion itself."""

    id: str
    asset: str
    preference_accuracy: PreferenceAccuracy = Field(description="pairs in which the chosen answer is likelier a token")
    preference_p: float | None = Field(None, description="of its difference from the champion's (McNemar)")
    preference_margin: Mean = Field(description="mean log-probability a token, chosen minus rejected, nats")
    reward: Mean = Field(description="of its answers, by the judge")
    teacher_reward: Mean | None = Field(None, description="the same, by the reward model that PPO learnt from")
    win_rate: WinRate | None = Field(description="questions to which its answer gets more reward than the champion's")
    groups: dict[str, WinRate] | None = Field(None, description="the win rate in each group of questions")
    length: Mean = Field(description="characters an answer, which compares models of different tokenizers")
    length_ratio: Estimate | None = Field(description="mean length over the champion's")
    repetition: Mean = Field(description="share of an answer's word sequences that stood in it before")
    empty: Proportion
    unfinished: Proportion = Field(description="answers that did not end within the limit")
    other_language: Proportion | None = Field(
        None, description="answers that are certainly in another language than their question"
    )
    kl: Mean = Field(description="KL(model || its base) a token of general text, nats")
    perplexity: Estimate = Field(description="on general text")
    perplexity_ratio: Estimate = Field(description="over its base's")
    canaries: Proportion = Field(description="canary questions passed")
    canaries_lost: list[str] | None = Field(description="those that the champion passes and it does not")


class MarginBand(_Record):
    """Held-out pairs whose answers people rated so far apart, and how often a reward model prefers the better one."""

    above: float = Field(description="difference of people's mean scores, 0 to 1; it is larger than this")
    up_to: float
    accuracy: PreferenceAccuracy


class Judge(_Record):
    """How far a reward model can be trusted on this."""

    id: str
    accuracy: PreferenceAccuracy = Field(description="held-out pairs in which the chosen answer gets more reward")
    by_margin: list[MarginBand] = Field([], description="the same by how far apart people rated the answers")
    rank_correlation: Estimate | None = Field(description="Kendall's tau with people's mean ratings, within a question")


class Evaluation(_Record):
    """The champion and the candidates, compared."""

    champion: str
    prompts: int = Field(description="questions that were asked")
    left_out: int = Field(0, description="questions too long to be answered within `max_length`")
    judge: Judge
    teacher: Judge | None = Field(
        None, description="what PPO learnt from; a model that it likes more, but the judge does not, only flatters it"
    )
    raters: Proportion | None = Field(
        None, description="how often one person orders two answers as the others do: what a judge can hope for"
    )
    models: list[ModelFigures]

    @property
    def candidates(self) -> list[ModelFigures]:
        """All but the champion and its like: the base models, which are there to compare with."""
        return [model for model in self.models if model.id != self.champion and model.asset != "base_model"]

    def model(self, model_id: str) -> ModelFigures:
        return next(model for model in self.models if model.id == model_id)


class ComparedAnswer(_Record):
    """What one model said to one question, and what the judge says of it."""

    model: str
    prompt: str
    answer: str
    tokens: int
    ended: bool
    reward: float


def read_evaluation(folder: Path) -> Evaluation:
    return Evaluation.model_validate_json((folder / RESULT_FILE).read_text(encoding="utf-8"))


def read_answers(folder: Path) -> list[ComparedAnswer]:
    """Every answer of every model, question by question."""
    with (folder / ANSWERS_FILE).open(encoding="utf-8") as lines:
        return [ComparedAnswer.model_validate_json(line) for line in lines]
