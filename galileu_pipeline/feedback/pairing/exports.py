"""Feedback out of the warehouse, as files that people and trainers read. Texts are masked, people are hashes."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.pairing.datasets import answer_column, prompt_column
from galileu_pipeline.feedback.pairing.pairs import READ_ROWS, PairingSettings, build_pairs
from galileu_pipeline.feedback.statements import sql
from galileu_pipeline.files import staged

# What a spreadsheet would take for the beginning of a formula (OWASP, "CSV Injection").
_FORMULA = "^[=+\\-@\t\r＝＋－＠]"
_JSON_COLUMNS = ("source_documents", "metadata")


class ExportSettings(BaseModel):
    """What goes into an export, and how."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["training", "pairs", "feedback"]
    pairing: PairingSettings = PairingSettings()
    min_rating: float = 4
    conversational: bool = False
    system_prompt: str = ""


def export(connection: duckdb.DuckDBPyConnection, path: Path, settings: ExportSettings) -> int:
    """Write `path`, its format by its ending: .jsonl, .json, .parquet or .csv.

    training: {prompt, completion, score, votes}, answers with a mean rating of at least `min_rating`; for SFT.
    pairs: {prompt, chosen, rejected, margin, origin, split}; for DPO and reward models.
    feedback: every accepted row, under the names by which it can be imported again.
    With `conversational`, the texts of the first two are TRL's lists of messages, after the system prompt.

    Returns:
        The number of rows. The file is whole or not there.

    Raises:
        InputError: another ending, or an option that does not go with the kind or the format.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise InputError(f"{path}: the format is told by the ending; use one of {', '.join(_WRITERS)}.")
    if settings.conversational and (settings.kind == "feedback" or path.suffix.lower() == ".csv"):
        raise InputError(
            "Messages are for training and pairs, in .jsonl, .json or .parquet; leave out --conversational."
        )
    batches = _batches(connection, settings)
    rows = 0
    with staged(path) as temporary:

        def counted() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            for batch in batches:
                rows += batch.num_rows
                yield batch

        write(temporary, batches.schema, counted())
    return rows


def _batches(connection: duckdb.DuckDBPyConnection, settings: ExportSettings) -> pa.RecordBatchReader:
    if settings.kind != "feedback":
        build_pairs(connection, settings.pairing)
    parameters = {"min_score": (settings.min_rating - 1) / 4} if settings.kind == "training" else {}
    reader = connection.sql(sql(f"pairing/export_{settings.kind}"), params=parameters).to_arrow_reader(READ_ROWS)
    return _conversational(reader, settings.system_prompt) if settings.conversational else reader


def _conversational(reader: pa.RecordBatchReader, system_prompt: str) -> pa.RecordBatchReader:
    def convert(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        columns["prompt"] = prompt_column(system_prompt, columns["prompt"])
        for name in {"completion", "chosen", "rejected"} & columns.keys():
            columns[name] = answer_column(columns[name])
        return pa.RecordBatch.from_pydict(columns)

    schema = convert(pa.RecordBatch.from_pylist([], schema=reader.schema)).schema
    return pa.RecordBatchReader.from_batches(schema, map(convert, reader))


def _write_json_lines(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{row}\n" for row in _json_rows(batches))


def _write_json(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for number, row in enumerate(_json_rows(batches)):
            file.write(f"{',' if number else ''}\n{row}")
        file.write("\n]\n")


def _json_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    for batch in batches:
        for row in batch.to_pylist():
            for name in _JSON_COLUMNS:
                if row.get(name) is not None:
                    row[name] = json.loads(row[name])
            yield json.dumps(row, ensure_ascii=False)


def _write_parquet(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def _write_csv(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """UTF-8 with a byte order mark, without which spreadsheets misread accents."""
    with path.open("wb") as file:
        file.write(b"\xef\xbb\xbf")
        with pyarrow.csv.CSVWriter(file, schema) as writer:
            for batch in batches:
                writer.write_batch(
                    pa.RecordBatch.from_arrays([_harmless(column) for column in batch.columns], schema=schema)
                )


def _harmless(column: pa.Array) -> pa.Array:
    """Text with an apostrophe before what a spreadsheet would run; the importer takes it off again."""
    if not pa.types.is_string(column.type):
        return column
    quoted = pc.binary_join_element_wise("'", column, "")
    return pc.if_else(pc.match_substring_regex(column, _FORMULA), quoted, column)


_WRITERS: dict[str, Callable[[Path, pa.Schema, Iterable[pa.RecordBatch]], Any]] = {
    ".jsonl": _write_json_lines,
    ".json": _write_json,
    ".parquet": _write_parquet,
    ".csv": _write_csv,
}
