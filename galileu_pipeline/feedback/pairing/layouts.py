"""Pairs and answers as the trainers of others want them: the same rows under other names."""

from collections.abc import Callable
from enum import StrEnum

import pyarrow as pa

from galileu_pipeline.feedback.pairing.datasets import answer_column, prompt_column

Columns = dict[str, pa.Array]


class Layout(StrEnum):
    """Whose trainer is to read an export."""

    TRL = "trl"
    OPENAI = "openai"
    LLAMA_FACTORY = "llama-factory"


def conversational(columns: Columns, system_prompt: str) -> Columns:
    """TRL's texts as lists of messages."""
    answers = {name: answer_column(columns[name]) for name in ("completion", "chosen", "rejected") if name in columns}
    return columns | {"prompt": prompt_column(system_prompt, columns["prompt"])} | answers


def openai_preference(columns: Columns, system_prompt: str) -> Columns:
    """{input: {messages}, preferred_output, non_preferred_output}, for DPO at OpenAI."""
    messages = prompt_column(system_prompt, columns["prompt"])
    return {
        "input": pa.StructArray.from_arrays([messages], ["messages"]),
        "preferred_output": answer_column(columns["chosen"]),
        "non_preferred_output": answer_column(columns["rejected"]),
    }


def llama_factory(columns: Columns, system_prompt: str) -> Columns:
    """LLaMA-Factory's Alpaca format: {instruction, input, system}, {chosen, rejected} or {output[, kto_tag]}."""
    prompts = columns["prompt"]
    names = {"chosen": "chosen", "rejected": "rejected", "completion": "output", "label": "kto_tag"}
    return {
        "instruction": prompts,
        "input": pa.array([""] * len(prompts), pa.string()),
        **{new: columns[name] for name, new in names.items() if name in columns},
        "system": pa.array([system_prompt] * len(prompts), pa.string()),
    }


def laid_out(
    reader: pa.RecordBatchReader, layout: Callable[[Columns, str], Columns], system_prompt: str
) -> pa.RecordBatchReader:
    """The rows of `reader`, {prompt, ...}, in a layout."""

    def convert(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        return pa.RecordBatch.from_pydict(layout(columns, system_prompt))

    schema = convert(pa.RecordBatch.from_pylist([], schema=reader.schema)).schema
    return pa.RecordBatchReader.from_batches(schema, map(convert, reader))
