"""What `galileu import --dry-run` shows."""

import json
from collections.abc import Mapping
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from galileu_pipeline.cli.console import out, short
from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.imports import FileImport
from galileu_pipeline.markdown import printable, shorten

_MAX_CELL_CHARS = 80


def show_preview(files: Mapping[Path, FileImport], *, as_json: bool) -> None:
    """Each file: format, scale, columns, first rows, and what would become of its rows.

    Raises:
        InputError: one of them would not be imported; everything is shown before.
    """
    if as_json:
        found = [
            {
                "path": short(path),
                **file.model_dump(mode="json"),
                **file.summary.model_dump(mode="json"),
                "fault": file.fault,
            }
            for path, file in files.items()
        ]
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        for path, file in files.items():
            out.print(_facts(path, file))
            if file.summary.first_rows:
                out.print(_first_rows(file))
    if faults := [file.fault for file in files.values() if file.fault]:
        raise InputError(" ".join(faults))


def _facts(path: Path, file: FileImport) -> Table:
    summary = file.summary
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in file.quarantined.items())
    facts = {
        "format": ", ".join([*([summary.records] if summary.records else []), summary.layout, summary.encoding]),
        "scale": summary.scale,
        "columns": ", ".join(
            name if name == field else f"{name} as {field}" for field, name in summary.columns.items()
        ),
        "not read": ", ".join(
            f"{name} (--map {target}={name}?)" if target else name for name, target in summary.unused.items()
        ),
        "left out": ", ".join(f"{count:,} {what}" for what, count in summary.skipped.items()),
        "rows": "" if file.fault else f"{file.rows:,}: {file.accepted:,} accepted, {file.duplicates:,} here already",
        "refused": reasons,
        "fault": file.fault or "",
    }
    table = Table(title=_cell(short(path)), show_header=False)
    for name, value in facts.items():
        if value:
            table.add_row(name, escape(printable(value)))
    return table


def _first_rows(file: FileImport) -> Table:
    names = list(dict.fromkeys(name for row in file.summary.first_rows for name in row))
    table = Table()
    for name in names:
        table.add_column(name, overflow="fold")
    for row in file.summary.first_rows:
        table.add_row(*(_cell(row.get(name, "")) for name in names))
    return table


def _cell(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return escape(shorten(" ".join(printable(text).split()), _MAX_CELL_CHARS))
