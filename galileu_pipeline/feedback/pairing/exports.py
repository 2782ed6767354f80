"""Feedback out of the warehouse, as files that people and trainers read. Texts are masked, people are hashes."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.documents import DOCUMENT_COLUMNS, read_document
from galileu_pipeline.feedback.ingestion.sources.formula_guards import guarded
from galileu_pipeline.feedback.pairing import layouts
from galileu_pipeline.feedback.pairing.layouts import Layout
from galileu_pipeline.feedback.pairing.pairs import READ_ROWS, PairingSettings, build_pairs
from galileu_pipeline.feedback.statements import sql
from galileu_pipeline.files import staged

# With what a JSON value may begin. A string that does may be taken for the value it spells.
_JSON_STARTS = tuple('{["+-.0123456789tfniTFNI')


MIDDLE_RATING = 3
"""Of 1 to 5: above it an answer was found good, below it bad."""


class ExportSettings(BaseModel):
    """What goes into an export, and how."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["training", "pairs", "kto", "feedback"]
    layout: Layout = Layout.TRL
    pairing: PairingSettings = PairingSettings()
    min_rating: float = 4
    conversational: bool = False
    system_prompt: str = ""


def export(connection: duckdb.DuckDBPyConnection, path: Path, settings: ExportSettings) -> int:
    """Write `path`, its format by its ending: .jsonl, .json, .parquet or .csv.

    training: {prompt, completion, score, votes}, answers with a mean rating of at least `min_rating`; for SFT.
    pairs: {prompt, chosen, rejected, margin, origin, split}; for DPO and reward models.
    kto: {prompt, completion, label}, those of `training`, and as false those as far from the other end of the scale
    or farther. `min_rating` is 3 or more, since below it the two would overlap.
    feedback: every accepted row, under the names by which it can be imported again, equal in every field.
    With `conversational`, the texts of the first three are TRL's lists of messages, after the system prompt. With
    another `layout` than TRL's, they are as that trainer's documentation has them, the system prompt included.

    Returns:
        The number of rows. The file is whole or not there.

    Raises:
        InputError: another ending, or an option that does not go with the kind or the format.
    """
    ending = path.suffix.lower()
    write = _WRITERS.get(ending)
    if write is None:
        raise InputError(f"{path}: the format is told by the ending; use one of {', '.join(_WRITERS)}.")
    _require_compatible(settings, ending)
    if ending == ".csv" and settings.kind == "feedback":
        write = _write_spreadsheet
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


def _require_compatible(settings: ExportSettings, ending: str) -> None:
    if settings.conversational and (settings.kind == "feedback" or settings.layout != Layout.TRL or ending == ".csv"):
        raise InputError(
            "Messages are for training, pairs and kto in TRL's format, in .jsonl, .json or .parquet; leave out "
            "--conversational."
        )
    if settings.layout != Layout.TRL and settings.kind == "feedback":
        raise InputError("Feedback is exported as it is imported, for no trainer; leave out --format.")
    if settings.kind == "kto" and settings.min_rating < MIDDLE_RATING:
        raise InputError(
            f"An answer rated {settings.min_rating:g} of 5 is no good one to learn from; for kto, --min-rating takes "
            f"{MIDDLE_RATING} to 5."
        )
    if settings.layout == Layout.OPENAI and (settings.kind != "pairs" or ending != ".jsonl"):
        raise InputError("OpenAI's preference format is for pairs, in a file that ends in .jsonl.")


def _batches(connection: duckdb.DuckDBPyConnection, settings: ExportSettings) -> pa.RecordBatchReader:
    if settings.kind != "feedback":
        build_pairs(connection, settings.pairing)
    parameters = {"min_score": (settings.min_rating - 1) / 4} if settings.kind in ("training", "kto") else {}
    reader = connection.sql(sql(f"pairing/export_{settings.kind}"), params=parameters).to_arrow_reader(READ_ROWS)
    if settings.layout == Layout.OPENAI:
        return layouts.laid_out(reader, layouts.openai_preference, settings.system_prompt)
    if settings.layout == Layout.LLAMA_FACTORY:
        return layouts.laid_out(reader, layouts.llama_factory, settings.system_prompt)
    if settings.conversational:
        return layouts.laid_out(reader, layouts.conversational, settings.system_prompt)
    return reader


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
            for name in DOCUMENT_COLUMNS:
                if row.get(name) is not None:
                    row[name] = _embedded(row[name])
            yield json.dumps(row, ensure_ascii=False, allow_nan=False)


def _embedded(document: str) -> Any:
    """A document as a value inside JSON, such that the importer makes the same document of it."""
    value = read_document(document)
    return document if isinstance(value, str) and value.lstrip().startswith(_JSON_STARTS) else value


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
                writer.write_batch(batch)


def _write_spreadsheet(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """CSV that does no harm where people open it; not for trainers, which would learn the apostrophes."""
    none = guarded(pa.RecordBatch.from_pylist([], schema=schema))
    _write_csv(path, none.schema, map(guarded, batches))


_WRITERS: dict[str, Callable[[Path, pa.Schema, Iterable[pa.RecordBatch]], Any]] = {
    ".jsonl": _write_json_lines,
    ".json": _write_json,
    ".parquet": _write_parquet,
    ".csv": _write_csv,
}
