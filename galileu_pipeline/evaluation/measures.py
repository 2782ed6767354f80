"""What can be told of answers by reading them alone."""

import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

_SEQUENCE_WORDS = 3


class Canary(BaseModel):
    """A question whose answer must not get worse: it matches one of `any_of`, if given, and none of `none_of`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    prompt: str
    any_of: list[str] = []
    none_of: list[str] = []

    def passes(self, answer: str) -> bool:
        """An empty answer passes nothing."""
        if not answer.strip() or _matches(self.none_of, answer):
            return False
        return not self.any_of or _matches(self.any_of, answer)


def canaries() -> list[Canary]:
    """Those of canaries.yaml."""
    return [Canary.model_validate(entry) for entry in _read("canaries.yaml")]


class QuestionGroup(BaseModel):
    """Questions on one subject: those that match one of `any_of`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    any_of: list[str]


OTHER_QUESTIONS = "other"


def question_groups() -> list[QuestionGroup]:
    """Those of question_groups.yaml."""
    return [QuestionGroup.model_validate(entry) for entry in _read("question_groups.yaml")]


def group_of(question: str, groups: Iterable[QuestionGroup]) -> str:
    """The first group that a question belongs to."""
    return next((group.id for group in groups if _matches(group.any_of, question)), OTHER_QUESTIONS)


def general_text() -> list[str]:
    """The paragraphs of general_text.yaml."""
    return [str(paragraph) for paragraph in _read("general_text.yaml")]


def repetition(answer: str) -> float:
    """Share of the answer's sequences of three words that stood in it before; 0 for fewer than three words."""
    words = re.findall(r"\w+", answer.casefold())
    sequences = [tuple(words[start : start + _SEQUENCE_WORDS]) for start in range(len(words) - _SEQUENCE_WORDS + 1)]
    return 1 - len(set(sequences)) / len(sequences) if sequences else 0.0


def _matches(patterns: Iterable[str], answer: str) -> bool:
    return any(re.search(pattern, answer, re.IGNORECASE) for pattern in patterns)


def _read(name: str) -> Any:
    return yaml.safe_load((files("galileu_pipeline.evaluation") / name).read_text("utf-8"))
