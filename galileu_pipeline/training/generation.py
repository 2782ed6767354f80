"""Answers for people to read: some at once and greedy, so that the same model says the same; or one, as it comes."""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteriaList, TextIteratorStreamer

from galileu_pipeline.errors import GalileuError
from galileu_pipeline.training.scoring import Messages


@torch.no_grad()
def generate(
    model: Any, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Messages], max_new_tokens: int
) -> list[str]:
    """One answer a prompt, in order."""
    if not prompts:
        return []
    model.eval()
    side, tokenizer.padding_side = tokenizer.padding_side, "left"
    try:
        inputs: Any = tokenizer.apply_chat_template(
            list(prompts),
            add_generation_prompt=True,
            tokenize=True,
            padding=True,
            return_tensors="pt",
            return_dict=True,
        )
    finally:
        tokenizer.padding_side = side
    inputs = inputs.to(model.device)
    output_BT = model.generate(
        **inputs, max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=tokenizer.pad_token_id
    )
    new_BT = output_BT[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in tokenizer.batch_decode(new_BT, skip_special_tokens=True)]


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
