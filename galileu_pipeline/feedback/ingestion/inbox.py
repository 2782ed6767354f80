"""`data/inbox/`: what is put there is imported by itself, then moved to `done/` or, with a reason, to `refused/`."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.sources.compression import shown_name
from galileu_pipeline.files import replace_file

DONE, REFUSED = "done", "refused"
_SETTLED_S = 5.0  # a file that was changed since may still be being written
_UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".download", ".filepart")


class Delivery(BaseModel):
    """What became of a file. `reason` is None for one that was imported."""

    model_config = ConfigDict(frozen=True)

    name: str
    reason: str | None = None


class Inbox:
    """The folder. What is being written, hidden, or a folder itself is left alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def waiting(self) -> list[Path]:
        """Files that are whole, the oldest first. One of an unchanged name and time is waiting as it was."""
        if not self.folder.is_dir():
            return []
        latest = time.time() - _SETTLED_S
        with os.scandir(self.folder) as entries:
            found = [
                (entry.stat().st_mtime, Path(entry.path))
                for entry in entries
                if entry.is_file() and not entry.name.startswith(".") and not entry.name.endswith(_UNFINISHED)
            ]
        return [path for changed, path in sorted(found) if changed <= latest]

    def empty(self, import_one: Callable[[Path], object]) -> list[Delivery]:
        """Import every waiting file by itself, and move it away. A file in the way is never overwritten.

        A crash between import and move does no harm: the same file twice adds nothing.
        """
        return [self._deliver(path, import_one) for path in self.waiting()]

    def forget_done(self) -> None:
        """Delete the files that were imported: whose rows stand in them is not known."""
        shutil.rmtree(self.folder / DONE, ignore_errors=True)

    def _deliver(self, path: Path, import_one: Callable[[Path], object]) -> Delivery:
        name = shown_name(Path(path.name))
        try:
            import_one(path)
        except InputError as error:
            moved = _move(path, self.folder / REFUSED)
            replace_file(moved.with_name(f"{moved.name}.txt"), f"{error}\n")
            return Delivery(name=name, reason=str(error))
        _move(path, self.folder / DONE)
        return Delivery(name=name)


def _move(path: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    place, number = folder / path.name, 1
    while place.exists():
        number += 1
        place = folder / f"{path.stem}-{number}{path.suffix}"
    return path.rename(place)
