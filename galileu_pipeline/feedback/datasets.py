"""Pairs and answers as training sets: Parquet in TRL's conversational format, the same bytes for the same rows.

Every dataset folder has `train.parquet` and `test.parquet`, so `datasets.load_dataset(folder)` opens it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.cleaning import TextCleaner

SPLITS = ("train", "test")

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_PAIR_SCHEMA = pa.schema(
    [("prompt", _MESSAGES), ("chosen", _MESSAGES), ("rejected", _MESSAGES), ("pair_id", pa.string())]
)
_ANSWER_SCHEMA = pa.schema([("prompt", _MESSAGES), ("completion", _MESSAGES), ("score", pa.float64())])
_EXAMPLE_SCHEMA = pa.schema([("prompt", _MESSAGES), ("completion", _MESSAGES), ("example_id", pa.string())])
_SOURCE_SCHEMA = pa.schema([("example_id", pa.string()), ("feedback_id", pa.string())])

Message = dict[str, str]


class DatasetSettings(BaseModel):
    """What goes into the training sets, and how many pairs there must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system_prompt: str = Field(description="first message of every conversation; empty for none")
    sft_min_score: float = Field(0.75, ge=0, le=1, description="least mean score (0 to 1) of an answer to imitate")
    min_train_pairs: int = Field(100, ge=1, description="fewer training pairs than this block the training")
    min_test_pairs: int = Field(20, ge=1, description="fewer held-out pairs than this block the training")


@dataclass(frozen=True)
class CuratedExample:
    """A hand-written example for SFT."""

    prompt: str
    completion: str


def conversation(system_prompt: str, question: str) -> list[Message]:
    """The prompt of every example: the system message, if there is one, and the user's question."""
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": question}]


def write_pairs(pairs: pa.Table, system_prompt: str, folder: Path) -> dict[str, int]:
    """{prompt, chosen, rejected, pair_id} a split, for DPO and the reward model. Returns rows by split."""
    counts = {}
    for split in SPLITS:
        rows = [
            {
                "prompt": conversation(system_prompt, pair["prompt"]),
                "chosen": _answer(pair["chosen"]),
                "rejected": _answer(pair["rejected"]),
                "pair_id": pair["pair_id"],
            }
            for pair in _of_split(pairs, split)
        ]
        counts[split] = _write(folder / f"{split}.parquet", rows, _PAIR_SCHEMA)
    return counts


def write_held_out_answers(answers: pa.Table, system_prompt: str, folder: Path) -> int:
    """{prompt, completion, score} of the test split in `answers.parquet`: people's mean scores (0 to 1) of answers.

    What TRL's pairs leave out; it serves to compare rewards with ratings.
    """
    rows = [
        {
            "prompt": conversation(system_prompt, answer["prompt"]),
            "completion": _answer(answer["response"]),
            "score": answer["score"],
        }
        for answer in _of_split(answers, "test")
    ]
    return _write(folder / "answers.parquet", rows, _ANSWER_SCHEMA)


def write_examples(
    answers: pa.Table, curated: Iterable[tuple[CuratedExample, str]], min_score: float, system_prompt: str, folder: Path
) -> dict[str, int]:
    """{prompt, completion, example_id} a split, for SFT, and `sources.parquet`: the feedback behind each example.

    Args:
        answers: scored answers; those of at least `min_score` are taken.
        curated: hand-written examples, each with its side of the split.
    """
    counts, sources = {}, []
    curated = list(curated)
    for split in SPLITS:
        good = [answer for answer in _of_split(answers, split) if answer["score"] >= min_score]
        rows = [_example(system_prompt, answer["prompt"], answer["response"]) for answer in good]
        for row, answer in zip(rows, good, strict=True):
            sources += [{"example_id": row["example_id"], "feedback_id": source} for source in answer["feedback_ids"]]
        rows += [_example(system_prompt, item.prompt, item.completion) for item, side in curated if side == split]
        counts[split] = _write(folder / f"{split}.parquet", rows, _EXAMPLE_SCHEMA)
    _write(folder / "sources.parquet", sources, _SOURCE_SCHEMA)
    return counts | {"curated": len(curated)}


def read_curated(folder: Path, cleaner: TextCleaner) -> list[CuratedExample]:
    """The examples of `folder/*.jsonl`, files and lines in order; none where there is no folder.

    Raises:
        InputError: a line is not {"prompt": text, "completion": text}; names file and line.
    """
    return list(_curated(folder, cleaner))


def write_table(table: pa.Table, path: Path) -> int:
    """Parquet without anything that changes from run to run. Returns the number of rows."""
    pq.write_table(table, path, compression="zstd")
    return table.num_rows


def _curated(folder: Path, cleaner: TextCleaner) -> Iterator[CuratedExample]:
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                example = CuratedExample(cleaner.text(record["prompt"]), cleaner.text(record["completion"]))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(
                    f'{path}, line {number}: expected {{"prompt": "...", "completion": "..."}}; {error!r}.'
                ) from error
            if not (example.prompt.strip() and example.completion.strip()):
                raise InputError(
                    f"{path}, line {number}: prompt or completion is empty; fill it in or remove the line."
                )
            yield example


def _of_split(table: pa.Table, split: str) -> list[dict[str, Any]]:
    return table.filter(pc.equal(table["split"], split)).to_pylist()


def _answer(text: str) -> list[Message]:
    return [{"role": "assistant", "content": text}]


def _example(system_prompt: str, question: str, answer: str) -> dict[str, object]:
    identity = hashlib.sha256(f"{question}\x1f{answer}".encode()).hexdigest()[:16]
    return {
        "prompt": conversation(system_prompt, question),
        "completion": _answer(answer),
        "example_id": identity,
    }


def _write(path: Path, rows: list[dict[str, object]], schema: pa.Schema) -> int:
    return write_table(pa.Table.from_pylist(rows, schema=schema), path)
