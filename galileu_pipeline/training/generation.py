"""Answers for people to read: some at once and greedy, so that the same model says the same; or one, as it comes."""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteriaList, TextIteratorStreamer

from galileu_pipeline.errors import GalileuError
from galileu_pipeline.training.encoding import Messages, encode_prompt


@dataclass(frozen=True)
class GeneratedAnswer:
    """An answer without special tokens; its length in tokens, and whether it ended before the limit."""

    text: str
    tokens: int
    ended: bool


def generate(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Messages],
    max_new_tokens: int,
    batch_size: int = 64,
) -> list[GeneratedAnswer]:
    """The most likely answer to each prompt, in order."""
    model.eval()
    return [
        answer
        for start in range(0, len(prompts), batch_size)
        for answer in _generate_batch(model, tokenizer, prompts[start : start + batch_size], max_new_tokens)
    ]


@torch.no_grad()
def _generate_batch(
    model: Any, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Messages], max_new_tokens: int
) -> list[GeneratedAnswer]:
    ids = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    inputs = tokenizer.pad({"input_ids": ids}, padding_side="left", return_tensors="pt").to(model.device)
    output_BT = model.generate(
        **inputs, max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=tokenizer.pad_token_id
    )
    new_BT = output_BT[:, inputs["input_ids"].shape[1] :]
    ends = end_ids(model.generation_config, tokenizer)
    lengths = [_length(row, ends) for row in new_BT.tolist()]
    texts = tokenizer.batch_decode(new_BT, skip_special_tokens=True)
    return [GeneratedAnswer(text.strip(), length, ended) for text, (length, ended) in zip(texts, lengths, strict=True)]


def end_ids(config: Any, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer, by a model's generation config and its tokenizer; some models have several."""
    given = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    ids = {token for token in (*given, tokenizer.eos_token_id) if token is not None}
    if not ids:
        raise ValueError("Neither the model nor the tokenizer names an end token, so no answer could end.")
    return sorted(ids)


def _length(ids: Sequence[int], ends: Sequence[int]) -> tuple[int, bool]:
    """Tokens up to and including the first end token, and whether there is one."""
    first = next((place for place, token in enumerate(ids) if token in ends), None)
    return (len(ids), False) if first is None else (first + 1, True)


class Generation:
    """One answer that comes token by token, made in a thread of its own."""

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase, inputs: Any, max_new_tokens: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._inputs = inputs.to(model.device)
        self._max_new_tokens = max_new_tokens
        self._stopped = threading.Event()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def run(self, options: Mapping[str, Any], token_timeout_s: float) -> Iterator[str]:
        """The answer so far, each time it has grown.

        Raises:
            GalileuError: the model failed, or gave no token within the time-out.
        """
        streamer: Any = TextIteratorStreamer(
            self._tokenizer, skip_prompt=True, timeout=token_timeout_s, skip_special_tokens=True
        )
        self._thread = threading.Thread(target=self._generate, args=(streamer, options), daemon=True)
        self._thread.start()
        text = ""
        try:
            for piece in streamer:
                if piece:
                    text += piece
                    yield text
        except queue.Empty:
            raise GalileuError(f"The model gave no token for {token_timeout_s:.0f} s.") from None
        if self._failure is not None:
            raise GalileuError(f"The model failed: {self._failure}") from self._failure

    def stop(self) -> None:
        """Let the model stop after the token it is at, and wait for it."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    @torch.no_grad()
    def _generate(self, streamer: Any, options: Mapping[str, Any]) -> None:
        try:
            self._model.generate(
                **self._inputs,
                **options,
                max_new_tokens=self._max_new_tokens,
                pad_token_id=self._tokenizer.pad_token_id,
                streamer=streamer,
                stopping_criteria=StoppingCriteriaList([self._is_stopped]),
            )
        except Exception as error:  # handed to the thread that reads
            self._failure = error
            streamer.end()

    def _is_stopped(self, ids_BT: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        return torch.full((ids_BT.shape[0],), self._stopped.is_set(), dtype=torch.bool, device=ids_BT.device)
