"""Conversations as token ids, the same way in training, evaluation, the chat and everywhere else.

What people write never becomes a control token: a text that spells `<|im_end|>` is those ten characters to the model,
not the end of a turn. And nothing is ever cut: what is too long is for the caller to leave out and to count.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from transformers import PreTrainedTokenizerBase

Messages = list[dict[str, str]]

# Stands for a text while the chat template is rendered around it; of the private use area, so that nothing else has it.
_PLACEHOLDER = "\ue000{}\ue001"
_PLACEHOLDERS = re.compile("\ue000([0-9]+)\ue001")


@dataclass(frozen=True)
class EncodedAnswer:
    """Token ids of prompt and answer; the first `prompt_tokens` are the prompt."""

    ids: list[int]
    prompt_tokens: int

    @property
    def prompt(self) -> list[int]:
        return self.ids[: self.prompt_tokens]

    @property
    def answer(self) -> list[int]:
        return self.ids[self.prompt_tokens :]


def encode_answer(tokenizer: PreTrainedTokenizerBase, prompt: Messages, answer: Messages) -> EncodedAnswer:
    """A conversation and the answer to it, through the chat template.

    The answer begins where the whole conversation no longer agrees with the prompt that asks for one.
    """
    asked = encode_prompt(tokenizer, prompt)
    ids = _encode(tokenizer, [*prompt, *answer], add_generation_prompt=False)
    agreeing = next((place for place, pair in enumerate(zip(asked, ids, strict=False)) if pair[0] != pair[1]), None)
    return EncodedAnswer(ids, min(len(asked), len(ids)) if agreeing is None else agreeing)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Messages) -> list[int]:
    """A conversation up to where the answer begins."""
    return _encode(tokenizer, prompt, add_generation_prompt=True)


def up_to_the_end(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[int]:
    """A conversation without what the chat template puts after the token that ends its last answer.

    ChatML puts a line break there. No model samples it, so a reward that is read at the last token must not expect it.
    """
    end, after = _end(tokenizer, tokenizer.chat_template)
    cut = len(ids) - len(after)
    return ids[:cut] if after and ids[cut - 1 :] == [end, *after] else ids


@lru_cache(maxsize=8)
def control_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens that structure a conversation or end it: all special ones but the one for unknown text."""
    special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    structural = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id} - {None}
    unknown = {tokenizer.unk_token_id} - structural
    return frozenset((special | set(tokenizer.all_special_ids)) - unknown)


def _encode(tokenizer: PreTrainedTokenizerBase, messages: Messages, *, add_generation_prompt: bool) -> list[int]:
    ids = _templated(tokenizer, messages, add_generation_prompt=add_generation_prompt)
    roles = tuple(message["role"] for message in messages)
    if _controls(tokenizer, ids) == _template_controls(
        tokenizer, tokenizer.chat_template, roles, add_generation_prompt
    ):
        return ids
    return _encode_apart(tokenizer, messages, add_generation_prompt=add_generation_prompt)


def _templated(tokenizer: PreTrainedTokenizerBase, messages: Messages, *, add_generation_prompt: bool) -> list[int]:
    encoded: Any = tokenizer.apply_chat_template(
        messages, add_generation_prompt=add_generation_prompt, tokenize=True, return_dict=True
    )
    return list(encoded["input_ids"])


def _controls(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[int]:
    control = control_ids(tokenizer)
    return [token for token in ids if token in control]


@lru_cache(maxsize=256)
def _template_controls(
    tokenizer: PreTrainedTokenizerBase, template: str, roles: tuple[str, ...], add_generation_prompt: bool
) -> list[int]:
    """The control tokens that the tokenizer's template alone puts into a conversation of these roles."""
    harmless = [{"role": role, "content": "a"} for role in roles]
    ids = _templated(tokenizer, harmless, add_generation_prompt=add_generation_prompt)
    return _controls(tokenizer, ids)


@lru_cache(maxsize=8)
def _end(tokenizer: PreTrainedTokenizerBase, template: str) -> tuple[int | None, tuple[int, ...]]:
    """The control token with which the tokenizer's template ends an answer, if it does, and what comes after it."""
    harmless = encode_answer(
        tokenizer, [{"role": "user", "content": "a"}], [{"role": "assistant", "content": "a"}]
    ).answer
    control = control_ids(tokenizer)
    places = [place for place, token in enumerate(harmless) if token in control]
    return (harmless[places[-1]], tuple(harmless[places[-1] + 1 :])) if places else (None, ())


def _encode_apart(tokenizer: PreTrainedTokenizerBase, messages: Messages, *, add_generation_prompt: bool) -> list[int]:
    """As the template renders it, but each text that spells control tokens is tokenized apart, where none count.

    The others stay where they are: the prompt must be the same tokens whatever answer follows. White space around a
    text stays outside its placeholder, so that a template which trims texts still does.
    """
    framed: Messages = []
    apart: list[str] = []
    for message in messages:
        text = message["content"]
        if _controls(tokenizer, tokenizer(text, add_special_tokens=False)["input_ids"]):
            head, tail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
            message = {**message, "content": f"{head}{_PLACEHOLDER.format(len(apart))}{tail}"}
            apart.append(text.strip())
        framed.append(message)
    rendered = tokenizer.apply_chat_template(framed, add_generation_prompt=add_generation_prompt, tokenize=False)
    ids: list[int] = []
    for place, part in enumerate(_PLACEHOLDERS.split(str(rendered))):
        text, as_text = (apart[int(part)], True) if place % 2 else (part, False)
        ids += tokenizer(text, add_special_tokens=False, split_special_tokens=as_text)["input_ids"]
    return ids
