"""The languages that the chatbot's users read."""

from typing import Literal, get_args

Language = Literal["pt", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


def number(value: float, language: Language, digits: int = 0) -> str:
    """1.234,5 in Portuguese, 1,234.5 in English."""
    text = f"{value:,.{digits}f}"
    return text.translate(str.maketrans(",.", ".,")) if language == "pt" else text


def interval(value: float, low: float, high: float, language: Language, digits: int = 0) -> str:
    """0,5 [0,4; 0,6] in Portuguese, 0.5 [0.4, 0.6] in English."""
    middle, first, last = (number(figure, language, digits) for figure in (value, low, high))
    return f"{middle} [{first}{';' if language == 'pt' else ','} {last}]"
