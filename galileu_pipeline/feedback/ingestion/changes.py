"""Whether there is feedback that has not been read yet, told without reading any."""

from datetime import UTC, datetime
from pathlib import Path

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.inbox import Inbox
from galileu_pipeline.feedback.ingestion.sources.files import SQLITE_HEAD
from galileu_pipeline.files import replace_file
from galileu_pipeline.lineage.digests import json_digest


def feedback_state(data: DataFolder) -> str | None:
    """A digest that changes with every click, every import and every file in the inbox; None where there is none.

    No rows are read, so it costs the same whatever the size of the files. SQLite may also tidy its file up with nothing
    changed; then there is nothing new to read.

    Raises:
        InputError: the chatbot's file is no database.
    """
    database, imported, delivered = data.feedback_db, data.last_import, Inbox(data.inbox).waiting()
    if not database.is_file() and not imported.is_file() and not delivered:
        return None
    if database.is_file() and not _begins_as_sqlite(database):
        raise InputError(f"{database} cannot be read as SQLite: it is no database. Put the chatbot's own file there.")
    return json_digest(
        {
            "files": [_state(path) for path in (database, database.with_name(f"{database.name}-wal"))],
            "import": imported.read_text(encoding="utf-8") if imported.is_file() else None,
            **({"inbox": [[path.name, _state(path)] for path in delivered]} if delivered else {}),
        }
    )


def _begins_as_sqlite(database: Path) -> bool:
    """An empty file is a database without tables."""
    with database.open("rb") as file:
        return file.read(len(SQLITE_HEAD)) in (SQLITE_HEAD, b"")


def record_import(data: DataFolder) -> None:
    """Leave word that files were imported into the warehouse, also where others were in the same second."""
    replace_file(data.last_import, datetime.now(UTC).isoformat() + "\n")


def _state(path: Path) -> list[int] | None:
    """What every write to the file changes; None where there is none, or nothing in it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return [found.st_ino, found.st_size, found.st_mtime_ns] if found.st_size else None
