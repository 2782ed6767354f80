"""What can be told of answers by reading them alone."""

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

_SEQUENCE_WORDS = 3
_LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "zh")
_CERTAIN, _RULED_OUT = 0.8, 0.05  # probabilities of a language


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


def changes_language(question: str, answer: str) -> bool:
    """Whether the answer is certainly in another language than the question.

    Not so where that of the question is uncertain, as of one of few words, or where the answer could be in the same.
    """
    identifier = _language_identifier()
    language, probability = identifier.classify(question)
    return probability >= _CERTAIN and dict(identifier.rank(answer))[language] < _RULED_OUT


@cache
def _language_identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    # Short texts of these are else taken for a neighbour that few people write, such as Galician for Portuguese.
    identifier.set_languages(_LANGUAGES)
    return identifier


def _matches(patterns: Iterable[str], answer: str) -> bool:
    return any(re.search(pattern, answer, re.IGNORECASE) for pattern in patterns)


def _read(name: str) -> Any:
    return yaml.safe_load((files("galileu_pipeline.evaluation") / name).read_text("utf-8"))
