"""Whether there is feedback that has not been read yet, told without reading any."""

from pathlib import Path

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.files import replace_file
from galileu_pipeline.lineage.digests import json_digest
from galileu_pipeline.lineage.manifest import utc_now


def feedback_state(data: DataFolder) -> str | None:
    """A digest that changes with every click and every import; None where there is neither.

    Neither rows are read nor files opened, so it costs the same whatever their size. SQLite may also tidy its file up
    with nothing changed; then there is nothing new to read.
    """
    database, imported = data.feedback_db, data.last_import
    if not database.is_file() and not imported.is_file():
        return None
    return json_digest(
        {
            "files": [_state(path) for path in (database, database.with_name(f"{database.name}-wal"))],
            "import": imported.read_text(encoding="utf-8") if imported.is_file() else None,
        }
    )


def record_import(data: DataFolder) -> None:
    """Leave word that files were imported into the warehouse."""
    replace_file(data.last_import, utc_now().isoformat() + "\n")


def _state(path: Path) -> list[int] | None:
    """What every write to the file changes; None where there is none, or nothing in it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return [found.st_ino, found.st_size, found.st_mtime_ns] if found.st_size else None
