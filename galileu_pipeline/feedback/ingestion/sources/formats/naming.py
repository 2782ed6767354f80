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
    r"feedback|thumb|\bvot[eo]|lik(?:e|ed)\b|help|\bajud|useful|good|\bcorrect(?!ion)|\bcorret|\bright\b|satisf|approv|accept|"
    r"positiv|quality|qualidade|relevan|accura|curti|gost|\b[úu]til|\bbo[am]\b|\bcert[ao]|\baprov|\bavalia|\bsafe|\bsegur"
)
# What turns it round, or is better the less of it there is.
_DISAPPROVAL = re.compile(
    r"^no\b|\b(?:n[ãa]o|not|non|isn|doesn|wasn|aren|sem|without|low|poor|pouc[oa]|mal|down|needs?|rank)\b|"
    r"\bnot(?=help|use|good|lik|rel|corr)|\bnon(?=help|use|rel)|(?:help|use|point|worth|meaning)less|"
    r"\bdis(?:lik|satisf|approv|agree|honest|gust)|\bmis(?:lik|lead|inform|unders)|\birr|\bdes(?:aprov|curti|gost)|"
    r"\bun(?:help|us(?:ed|ef)|lik|satisf|safe|accept|approv|rela|rele|good|corr|true|fair|clear|happy)|"
    r"\bin(?:corr|accu|valid|cert|útil|adeq|appro|apro|suf|coh|coe|consist|compl|segur)|"
    r"thumbs? ?down|down ?vot|\bbad(?!ge)|\bwors|negativ|wrong|false|reject|ruim|\bpior|\berrad|correction|"
    r"issue|problem|toxi|t[óo]xic|hallucin|alucin|\bharm(?:s|ful)?\b|\bhate|offens|ofens|\bbias|\bflag(?!ship)|\bspam|"
    r"\brisk|\brisco|\berror|\berros?\b|\bcosts?\b|\bcustos?\b|latenc|latênc|\bduration"
)
_FREE_TEXT = re.compile(r"comment|coment|observ|reason|motivo|justif|expla|explica|\bnotes?\b")
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


def require_good(name: str, *, truth: bool = False) -> None:
    """Let pass only what is good if there is much of it, or if it is true.

    Args:
        truth: whether the name was answered with yes or no, so that it has to say itself what is good.

    Raises:
        ValueError: the name is not such a one.
    """
    if disapproves(name) or (truth and not approves(name)):
        raise ValueError(f"whether {name[:40]!r} is good or bad cannot be told")


def is_free_text(name: str) -> bool:
    """Whether people write there what they like, a `yes` among it."""
    return bool(_FREE_TEXT.search(_words(name)))


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
