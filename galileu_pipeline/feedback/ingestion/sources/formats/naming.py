"""What fields and scores mean in records in which they are called as the owner of a project liked."""

import re
from collections.abc import Mapping
from typing import Any

_QUERIES = ("query", "prompt", "question", "instruction", "input", "pergunta")
# response_1, responseA, left; but not the last letter of a word.
_LAST_SIGN = re.compile(r"(?:(?:^|(?<=[\W_]))(?i:1|2|a|b|left|right)|(?<=[a-z])(?:1|2|A|B|Left|Right))$")
_LEFT = frozenset({"1", "a", "left"})

# What a truth value must be called for true to be good: it may as well be called toxic.
_APPROVAL = re.compile(
    r"feedback|thumb|vote|lik(?:e|ed)\b|help|useful|good|correct|right|satisf|approv|accept|positiv|"
    r"quality|relevan|accura|curti|gost|útil|bo[am]\b|cert[ao]|aprova"
)
# What turns it round, or is better the less of it there is.
_DISAPPROVAL = re.compile(
    r"\b(?:no|n[ãa]o|sem|without|low)\b|\b(?:dis(?!cuss|play|t)|un(?!d|i)|irr|mis|mal|non|not(?!a|e|ic))|less\b|"
    r"\bin(?:corr|accu|valid|cert|útil|adeq|appro|apro|suf|coh|coe|consist|compl)|\bdes(?:aprov|curti|gost)|"
    r"down|bad|wors|poor|negativ|wrong|false|reject|ruim|pior|errad|"
    r"toxi|t[óo]xic|hallucin|alucin|harm|hate|offens|ofens|\bbias|flag|spam|risk|error|\berro|cost|custo|latenc|latênc|duration"
)
# Names that leave it to the words, as those that a form proposes.
_SAYS_NOTHING = frozenset(
    {"question", "label", "answer", "response", "rating", "score", "value", "judgement", "verdict"}
)
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+")


def approves(name: str) -> bool:
    """Whether true is good where it answers to this name, such as `user-feedback` or `isHelpful`."""
    words = _words(name)
    return bool(_APPROVAL.search(words)) and not _DISAPPROVAL.search(words)


def disapproves(name: str) -> bool:
    """Whether much of what has this name is bad, such as `toxicity` or `worst`."""
    return bool(_DISAPPROVAL.search(_words(name)))


def says_nothing(name: str) -> bool:
    """Whether the name does not tell what was asked, so that it was whether the answer is good."""
    return _words(name) in _SAYS_NOTHING


def _words(name: str) -> str:
    return " ".join(_HUMPS.split(name)).lower()


def query_of(fields: Mapping[str, Any]) -> str:
    """The question.

    Raises:
        ValueError: no field, or none that is text, has a name of questions.
    """
    for name in _QUERIES:
        for key, value in fields.items():
            if key.lower() == name and isinstance(value, str):
                return value
    raise ValueError(f"no question; it must be called one of {', '.join(_QUERIES)}")


def answers_of(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, text) of the texts that are not the question: one answer, or the left and the right one.

    Raises:
        ValueError: there are others, or two of which nobody could tell which is the left one.
    """
    query = query_of(fields)
    texts = [(key, value) for key, value in fields.items() if isinstance(value, str) and value is not query]
    if len(texts) == 1:
        return texts
    signs = {found[0].lower(): (key, value) for key, value in texts if (found := _LAST_SIGN.search(key))}
    if len(signs) != 2 or len(_LEFT & signs.keys()) != 1:
        raise ValueError("not two answers whose names end with 1 and 2, a and b, or left and right")
    return [signs[sign] for sign in sorted(signs, key=lambda sign: sign not in _LEFT)]
