"""One file into the warehouse, or only looked at: what was read, and what was learnt of the file."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.ingestor import IngestionReport, Ingestor
from galileu_pipeline.feedback.ingestion.judging import FileJudge
from galileu_pipeline.feedback.ingestion.scale import Scale
from galileu_pipeline.feedback.ingestion.sources.columns import listed, shown_column
from galileu_pipeline.feedback.ingestion.sources.encoding import UTF8
from galileu_pipeline.feedback.ingestion.sources.files import FeedbackFile
from galileu_pipeline.feedback.ingestion.sources.readings import FileReading


class FileSummary(BaseModel):
    """How a file was read.

    layout, records, encoding: how it is written; `records` is the format of another program, or null.
    scale: on which its ratings were read.
    columns: the column of each field.
    unused: columns that were not read, each with the field it likely is.
    skipped: records in which nobody gave feedback, by what they are.
    first_rows: as they came, by field.
    """

    model_config = ConfigDict(frozen=True)

    layout: str
    records: str | None
    encoding: str
    scale: str
    columns: dict[str, str]
    unused: dict[str, str | None]
    skipped: dict[str, int]
    first_rows: list[dict[str, Any]]

    @classmethod
    def of(cls, reading: FileReading, scale: Scale) -> "FileSummary":
        return cls(
            layout=reading.file.format.value,
            records=reading.file.records.name if reading.file.records else None,
            encoding=reading.encoding,
            scale=str(scale),
            columns=reading.columns.used,
            unused=reading.columns.unused,
            skipped=dict(reading.skipped),
            first_rows=reading.first_rows,
        )

    def notes(self) -> list[str]:
        """What whoever imports the file should know of how it was read, a line each."""
        notes = []
        if self.records:
            notes.append(f"read as {self.records}")
        if self.encoding != UTF8:
            notes.append("not UTF-8: read as Windows-1252")
        if self.scale != "1-5" and any("rating" in row for row in self.first_rows):
            notes.append(f"ratings read on the scale {self.scale}")
        for what, count in self.skipped.items():
            notes.append(f"{count:,} left out: {what}")
        for column, target in self.unused.items():
            if target:
                name = shown_column(column)
                notes.append(f"column {name} is not read; if it is the {target}, say --map {target}={name}")
        if others := [column for column, target in self.unused.items() if not target]:
            notes.append(f"not read: {listed(others)}")
        return notes


class FileImport(IngestionReport):
    """What became of a file's rows, and how it was read; `fault` says why it would not be imported."""

    summary: FileSummary = Field(exclude=True)
    fault: str | None = Field(default=None, exclude=True)


def import_file(ingestor: Ingestor, file: FeedbackFile, mapping: Mapping[str, str], scale: Scale | None) -> FileImport:
    """Every row of the file, as `Ingestor.file`, with how it was read."""
    reading = FileReading(file, mapping)
    judge = FileJudge(scale or reading.file.own_scale)
    report = ingestor.read(reading, judge)
    return FileImport(**report.model_dump(), summary=FileSummary.of(reading, judge.scale))


def preview_file(ingestor: Ingestor, file: FeedbackFile, mapping: Mapping[str, str], scale: Scale | None) -> FileImport:
    """As `import_file`, but what goes wrong is told in the result. Let the warehouse roll back."""
    reading = FileReading(file, mapping)
    judge = FileJudge(scale or reading.file.own_scale)
    report, fault = IngestionReport(), None
    try:
        report = ingestor.read(reading, judge)
    except InputError as error:
        fault = str(error)
    return FileImport(**report.model_dump(), summary=FileSummary.of(reading, judge.scale), fault=fault)
