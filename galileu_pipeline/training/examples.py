"""What a stage learns from, as token ids: one rule about length for every stage.

An example of more than `max_length` tokens is left out and counted, never cut: a cut answer would teach the model to
stop in the middle, or not to stop at all. So is a pair whose two sides are the same tokens, which teaches nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from datasets import Dataset
from datasets.fingerprint import generate_random_fingerprint
from datasets.table import InMemoryTable
from transformers import PreTrainedTokenizerBase

from galileu_pipeline.errors import StageError
from galileu_pipeline.training.encoding import EncodedAnswer, encode_answer, encode_prompt

IGNORED_LABEL = -100  # what the loss of transformers leaves out


@dataclass(frozen=True)
class EncodedRow:
    """The columns a trainer reads, how many tokens its longest sequence has, and whether it can teach anything."""

    columns: dict[str, list[int]]
    tokens: int
    teaches: bool = True


# From one row of a dataset to its token ids by the trainer's column names.
Encode = Callable[[PreTrainedTokenizerBase, Mapping[str, Any]], EncodedRow]


@dataclass(frozen=True)
class Examples:
    """A split, encoded.

    Attributes:
        rows: what is left, with the dataset's own columns and those of the trainer.
        too_long: how many were left out because of their length.
        equal: how many pairs were left out because both sides are the same tokens.
        longest: what to call the longest example, and how long it is.
    """

    rows: Dataset
    too_long: int
    equal: int
    longest: str

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def left_out(self) -> str:
        """For people to read; empty where nothing was."""
        parts = []
        if self.too_long:
            parts.append(f"{self.too_long} too long (the longest is {self.longest})")
        if self.equal:
            parts.append(f"{self.equal} with the same tokens on both sides")
        return " and ".join(parts)

    def require(self, least: int, what: str, max_length: int) -> None:
        """Raises StageError if there are fewer than `least`."""
        if len(self) >= least:
            return
        why = f"; {self.left_out} were left out" if self.left_out else ""
        remedy = f"Raise max_length (now {max_length} tokens)" if self.too_long else "Collect more feedback"
        raise StageError(
            f"{len(self)} {what} examples are left, {least} are needed{why}. {remedy}, or lower min_examples."
        )


def dataset_of(table: pa.Table) -> Dataset:
    """A dataset in memory.

    Its fingerprint is a random one, as those of `encode_examples` are. The library would pickle all rows for one that
    tells them from others; but that is for its cache of files, which nothing in memory has a part in.
    """
    return Dataset(InMemoryTable(table), fingerprint=generate_random_fingerprint())


def encode_examples(
    rows: Dataset, tokenizer: PreTrainedTokenizerBase, encode: Encode, max_length: int | None = None
) -> Examples:
    """Every row of `rows` through `encode`, less those that are too long (None: none is) or teach nothing."""
    kept: list[int] = []
    columns: dict[str, list[list[int]]] = {}
    too_long = equal = most = 0
    longest = "none"
    for place, row in enumerate(rows):
        encoded = encode(tokenizer, row)
        if encoded.tokens > most:
            most, longest = encoded.tokens, f"{_name(row, place)}: {encoded.tokens} tokens"
        if max_length is not None and encoded.tokens > max_length:
            too_long += 1
        elif not encoded.teaches:
            equal += 1
        else:
            kept.append(place)
            for name, ids in encoded.columns.items():
                columns.setdefault(name, []).append(ids)
    selected = rows.select(kept, new_fingerprint=generate_random_fingerprint())
    for name, values in columns.items():
        selected = selected.add_column(name, values, new_fingerprint=generate_random_fingerprint())
    return Examples(selected, too_long, equal, longest)


def completion(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any]) -> EncodedRow:
    """{prompt, completion} for SFT: the loss is on the completion only."""
    encoded = encode_answer(tokenizer, row["prompt"], row["completion"])
    labels = [IGNORED_LABEL] * encoded.prompt_tokens + encoded.answer
    return EncodedRow({"input_ids": encoded.ids, "labels": labels}, len(encoded.ids))


def preference(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any]) -> EncodedRow:
    """{prompt, chosen, rejected} for DPO: the prompt is what both sides have in common with the question."""
    chosen, rejected = _sides(tokenizer, row)
    prompt_tokens = min(chosen.prompt_tokens, rejected.prompt_tokens)
    columns = {
        "prompt_ids": chosen.ids[:prompt_tokens],
        "chosen_ids": chosen.ids[prompt_tokens:],
        "rejected_ids": rejected.ids[prompt_tokens:],
    }
    return EncodedRow(columns, max(len(chosen.ids), len(rejected.ids)), teaches=chosen.ids != rejected.ids)


def whole_preference(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any]) -> EncodedRow:
    """{prompt, chosen, rejected} for the reward model, which reads each side with the question before it."""
    chosen, rejected = _sides(tokenizer, row)
    columns = {"chosen_ids": chosen.ids, "rejected_ids": rejected.ids}
    return EncodedRow(columns, max(len(chosen.ids), len(rejected.ids)), teaches=chosen.ids != rejected.ids)


def question(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any]) -> EncodedRow:
    """{prompt} for PPO."""
    ids = encode_prompt(tokenizer, row["prompt"])
    return EncodedRow({"prompt_ids": ids}, len(ids))


def _sides(tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any]) -> tuple[EncodedAnswer, EncodedAnswer]:
    return (
        encode_answer(tokenizer, row["prompt"], row["chosen"]),
        encode_answer(tokenizer, row["prompt"], row["rejected"]),
    )


def _name(row: Mapping[str, Any], place: int) -> str:
    """The id by which the dataset's sources know the row, or its place."""
    return str(row.get("pair_id") or row.get("example_id") or f"row {place}")
