"""Prompts: which of them a rollout answers, and their tokens."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import torch
from datasets import Dataset
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerBase

from galileu_pipeline.training.encoding import encode_prompt
from galileu_pipeline.training.examples import dataset_of

PROMPT_COLUMN, IDS_COLUMN = "prompt", "prompt_ids"


def tokenize_prompts(dataset: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Dataset:
    """The dataset's prompts with their token ids, those of more than `max_length` tokens left out.

    Raises:
        ValueError: there is no column `prompt` of conversations, or nothing is left.
    """
    if PROMPT_COLUMN not in dataset.column_names:
        raise ValueError(f"The dataset has no column `prompt`; its columns are {dataset.column_names}.")
    prompts = list(dataset[PROMPT_COLUMN])
    wrong = next((row for row, prompt in enumerate(prompts) if not _is_conversation(prompt)), None)
    if wrong is not None:
        raise ValueError(
            f"Row {wrong}: `prompt` must be a list of messages, such as "
            f'[{{"role": "user", "content": "Hello"}}], not {str(prompts[wrong])[:80]!r}.'
        )
    ids = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    kept = [row for row in range(len(prompts)) if len(ids[row]) <= max_length]
    if not kept:
        raise ValueError(f"All {len(prompts)} prompts are longer than max_prompt_length={max_length} tokens; raise it.")
    columns = {PROMPT_COLUMN: [prompts[row] for row in kept], IDS_COLUMN: [ids[row] for row in kept]}
    return dataset_of(pa.table(columns))


def pad_prompts(ids: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, (B, P) each, padded on the left."""
    width = max(map(len, ids))
    ids_BP = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in ids], device=device)
    mask_BP = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids], device=device)
    return ids_BP, mask_BP


class RolloutSampler(Sampler[int]):
    """Every prompt once an epoch, in another order each time, `answers` at a time; each lot is repeated.

    The trainer takes a lot's prompts once and spends its repetitions on updates. The last lot is filled up with the
    epoch's first prompts.
    """

    def __init__(self, prompts: int, *, answers: int, repetitions: int, seed: int) -> None:
        self._prompts = prompts
        self._answers = answers
        self._repetitions = repetitions
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-self._prompts // self._answers) * self._answers * self._repetitions

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        order = torch.randperm(self._prompts, generator=generator)
        missing = -self._prompts % self._answers
        order = torch.cat((order, order.repeat(-(-missing // self._prompts))[:missing]))
        for lot in order.split(self._answers):
            yield from lot.repeat(self._repetitions).tolist()


def _is_conversation(prompt: object) -> bool:
    return isinstance(prompt, list) and len(prompt) > 0 and all(map(_is_message, prompt))


def _is_message(turn: object) -> bool:
    return isinstance(turn, dict) and all(isinstance(turn.get(name), str) for name in ("role", "content"))
