"""Whether there is feedback that has not been read yet, told without reading any."""

import sqlite3
from contextlib import closing

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.sources.shapes import TABLES
from galileu_pipeline.files import replace_file
from galileu_pipeline.lineage.digests import json_digest
from galileu_pipeline.lineage.manifest import utc_now


def feedback_state(data: DataFolder) -> str | None:
    """A digest that changes with every click and every import; None where there is neither.

    It takes the last row of each table of the chatbot's file, so the number of rows does not matter.

    Raises:
        InputError: the chatbot's file cannot be read.
    """
    database, imported = data.feedback_db, data.last_import
    if not database.is_file() and not imported.is_file():
        return None
    return json_digest(
        {
            "tables": _last_rows(data) if database.is_file() else {},
            # A file put in place of another may well have as many rows.
            "file": database.stat().st_ino if database.is_file() else None,
            "import": imported.read_text(encoding="utf-8") if imported.is_file() else None,
        }
    )


def record_import(data: DataFolder) -> None:
    """Leave word that files were imported into the warehouse."""
    replace_file(data.last_import, utc_now().isoformat() + "\n")


def _last_rows(data: DataFolder) -> dict[str, int | None]:
    address = f"{data.feedback_db.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
            there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            return {
                table.name: connection.execute(f'SELECT max(rowid) FROM "{table.name}"').fetchone()[0]
                for table in TABLES
                if table.name in there
            }
    except sqlite3.DatabaseError as error:
        raise InputError(f"{data.feedback_db} cannot be read as SQLite: {error}") from error
