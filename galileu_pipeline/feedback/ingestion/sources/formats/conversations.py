"""Conversations of other programs as a question and its answer."""

from collections.abc import Mapping, Sequence
from typing import Any

_USERS = frozenset({"user", "human", "prompter"})
_ASSISTANTS = frozenset({"assistant", "bot", "gpt", "chatbot", "model"})
_INSTRUCTIONS = frozenset({"system", "developer", "tool"})
Turn = tuple[str, str]


def turns(messages: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """(`user` or `assistant`, text) of each message; instructions to the model are left out.

    Raises:
        ValueError: nobody known said one of them.
    """
    said = []
    for message in messages:
        role = str(message.get("role") or message.get("from") or "").lower()
        if role in _USERS or role in _ASSISTANTS:
            said.append(("user" if role in _USERS else "assistant", text_of(message)))
        elif role not in _INSTRUCTIONS:
            raise ValueError(f"a message of the unknown role {role[:40]!r}")
    return said


def text_of(message: Mapping[str, Any]) -> str:
    """What a message says; of several parts those that are text."""
    content = message.get("content")
    if content is None:
        content = message.get("value")
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))
    raise ValueError("a message without text")


def question(before: Sequence[Turn]) -> str:
    """What an answer answers: the only question, or the whole conversation up to it.

    Raises:
        ValueError: it does not end with a question.
    """
    if not before or before[-1][0] != "user":
        raise ValueError("no question before the answer")
    if len(before) == 1:
        return before[0][1]
    return "\n\n".join(f"{'User' if role == 'user' else 'Assistant'}: {text}" for role, text in before)


def question_and_answer(said: Sequence[Turn]) -> tuple[str, str]:
    """The last answer of a conversation, and what it answers.

    Raises:
        ValueError: the conversation does not end with an answer to a question.
    """
    if not said or said[-1][0] != "assistant":
        raise ValueError("the conversation does not end with an answer")
    return question(said[:-1]), said[-1][1]
