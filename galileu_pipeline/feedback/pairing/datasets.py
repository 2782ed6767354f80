"""Pairs and answers as training sets: Parquet in TRL's conversational format, the same bytes for the same rows.

Every dataset folder has `train.parquet` and `test.parquet`, which TRL's trainers take, and `sources.parquet`: the
feedback behind each row of both (provenance.py).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner, text_digest, visible

SPLITS = ("train", "validation", "test")
"""What is learnt from, what a training is watched on, and what models are judged on in the end."""

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_PAIR_SCHEMA = pa.schema(
    [("prompt", _MESSAGES), ("chosen", _MESSAGES), ("rejected", _MESSAGES), ("pair_id", pa.string())]
)
_ANSWER_SCHEMA = pa.schema([("prompt", _MESSAGES), ("completion", _MESSAGES), ("score", pa.float64())])
_EXAMPLE_SCHEMA = pa.schema([("prompt", _MESSAGES), ("completion", _MESSAGES), ("example_id", pa.string())])

Message = dict[str, str]


class DatasetSettings(BaseModel):
    """What goes into the training sets, and how many pairs there must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system_prompt: str = Field(description="first message of every conversation; empty for none")
    min_train_pairs: int = Field(100, ge=1, description="fewer training pairs than this block the training")
    min_test_pairs: int = Field(20, ge=1, description="fewer held-out pairs than this block the training")

    def are_enough(self, pairs: Mapping[str, int]) -> bool:
        """Whether so many pairs of `train` and `test` do."""
        return pairs["train"] >= self.min_train_pairs and pairs["test"] >= self.min_test_pairs

    def beside_the_least(self, pairs: Mapping[str, int]) -> str:
        """So many pairs, and how many there must be, in words."""
        return (
            f"{pairs['train']} pairs to train on (at least {self.min_train_pairs}) and {pairs['test']} to test on "
            f"(at least {self.min_test_pairs})"
        )


@dataclass(frozen=True)
class CuratedExample:
    """A hand-written example for SFT."""

    prompt: str
    completion: str
    query_key: str

    @property
    def example_id(self) -> str:
        """As `sql/select_answers.sql` makes it of an answer."""
        answer = text_digest(visible(self.completion))
        return hashlib.sha256(f"{UUID(self.query_key)}|{UUID(answer)}".encode()).hexdigest()[:16]


def conversation(system_prompt: str, question: str) -> list[Message]:
    """The prompt of every example: the system message, if there is one, and the user's question."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": question}]


def write_pairs(pairs: Iterable[pa.RecordBatch], system_prompt: str, folder: Path) -> dict[str, int]:
    """{prompt, chosen, rejected, pair_id} a split, for DPO and the reward model. Returns rows by split."""
    with _SplitWriter(folder, _PAIR_SCHEMA) as writer:
        for split, rows in _by_split(pairs):
            columns = [
                prompt_column(system_prompt, rows["prompt"]),
                answer_column(rows["chosen"]),
                answer_column(rows["rejected"]),
                rows["pair_id"],
            ]
            writer.write(split, columns)
    return writer.counts


def write_held_out_answers(answers: Iterable[pa.RecordBatch], system_prompt: str, folder: Path) -> int:
    """{prompt, completion, score} in `answers.parquet`: people's mean scores (0 to 1) of held-out answers.

    What TRL's pairs leave out; it serves to compare rewards with ratings.
    """
    with TableWriter(folder / "answers.parquet", _ANSWER_SCHEMA) as writer:
        for split, rows in _by_split(answers):
            if split == "test":
                columns = [prompt_column(system_prompt, rows["prompt"]), answer_column(rows["response"]), rows["score"]]
                writer.write(columns)
    return writer.rows


def write_examples(
    answers: Iterable[pa.RecordBatch],
    curated: Iterable[tuple[CuratedExample, str]],
    min_score: float,
    system_prompt: str,
    folder: Path,
) -> dict[str, int]:
    """{prompt, completion, example_id} a split, for SFT. Returns rows by split, and of `curated`.

    Args:
        answers: scored answers; those of at least `min_score` are taken.
        curated: hand-written examples, each with its side of the split; they come last.
    """
    curated = list(curated)
    with _SplitWriter(folder, _EXAMPLE_SCHEMA) as examples:
        for split, rows in _by_split(answers):
            good = rows.filter(pc.greater_equal(rows["score"], min_score))
            examples.write(
                split,
                [prompt_column(system_prompt, good["prompt"]), answer_column(good["response"]), good["example_id"]],
            )
        for split in SPLITS:
            of_split = [item for item, side in curated if side == split]
            prompts, completions = (
                pa.array([getattr(item, name) for item in of_split], pa.string()) for name in ("prompt", "completion")
            )
            ids = pa.array([item.example_id for item in of_split], pa.string())
            examples.write(split, [prompt_column(system_prompt, prompts), answer_column(completions), ids])
    return examples.counts | {"curated": len(curated)}


def read_curated(folder: Path, cleaner: TextCleaner) -> list[CuratedExample]:
    """The examples of `folder/*.jsonl`, files and lines in order; none where there is no folder.

    Raises:
        InputError: a line is not {"prompt": text, "completion": text}; names file and line.
    """
    return list(_curated(folder, cleaner))


class TableWriter:
    """Parquet by the batch, without anything that changes from run to run."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.rows = 0
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()

    def write(self, columns: Sequence[pa.Array]) -> Sequence[pa.Array]:
        """Append rows, given their columns in the order of the schema. Returns the columns."""
        if len(columns[0]):
            self._writer.write_batch(pa.RecordBatch.from_arrays(list(columns), schema=self._schema))
            self.rows += len(columns[0])
        return columns


def write_table(rows: pa.RecordBatchReader, path: Path) -> int:
    """The rows as Parquet. Returns how many they are."""
    with TableWriter(path, rows.schema) as writer:
        for batch in rows:
            writer.write(batch.columns)
    return writer.rows


class _SplitWriter:
    """`train.parquet`, `validation.parquet` and `test.parquet` of a dataset."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._writers = {split: TableWriter(folder / f"{split}.parquet", schema) for split in SPLITS}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self._writers.values():
            writer.__exit__(*error)

    def write(self, split: str, columns: Sequence[pa.Array]) -> Sequence[pa.Array]:
        return self._writers[split].write(columns)

    @property
    def counts(self) -> dict[str, int]:
        return {split: writer.rows for split, writer in self._writers.items()}


def _curated(folder: Path, cleaner: TextCleaner) -> Iterator[CuratedExample]:
    for path in sorted(folder.glob("*.jsonl")):
        # Not splitlines: U+2028 and its like may stand inside a JSON string.
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                prompt, completion = cleaner.text(record["prompt"]), cleaner.text(record["completion"])
                example = CuratedExample(prompt, completion, cleaner.query_key(prompt))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(
                    f'{path}, line {number}: expected {{"prompt": "...", "completion": "..."}}; {error!r}.'
                ) from error
            if not (visible(example.prompt) and visible(example.completion)):
                raise InputError(
                    f"{path}, line {number}: prompt or completion is empty; fill it in or remove the line."
                )
            yield example


def _by_split(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
    for batch in batches:
        for split in SPLITS:
            yield split, batch.filter(pc.equal(batch["split"], split))


def prompt_column(system_prompt: str, questions: pa.StringArray) -> pa.ListArray:
    """`conversation` of each question, as a column."""
    shape = [message["role"] for message in conversation(system_prompt, "")]
    contents = pa.concat_arrays([pa.array([system_prompt], pa.string()), questions])
    own = np.arange(1, len(questions) + 1)  # places in contents; 0 is the system prompt
    places = np.stack([np.zeros_like(own) if role == "system" else own for role in shape], axis=1)
    return _messages(np.tile(shape, len(questions)), contents.take(pa.array(places.ravel())), len(shape))


def answer_column(texts: pa.StringArray) -> pa.ListArray:
    """Each text as the one message of an assistant, as a column."""
    return _messages(np.full(len(texts), "assistant"), texts, 1)


def _messages(roles: NDArray[np.str_], contents: pa.StringArray, length: int) -> pa.ListArray:
    """Conversations of `length` messages each."""
    messages = pa.StructArray.from_arrays([pa.array(roles.tolist(), pa.string()), contents], ["role", "content"])
    offsets = np.arange(0, len(contents) + 1, length, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), messages)
