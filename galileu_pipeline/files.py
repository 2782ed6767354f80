"""Writing files so that nobody ever reads half of one."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_file(path: Path, text: str) -> None:
    """Write `path` (UTF-8) under another name, then rename it in place, synchronised."""
    with staged(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the place of `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_readable(folder: Path) -> None:
    """transformers leaves weights at mode 0600, which a chat under another user cannot read."""
    for file in folder.iterdir():
        file.chmod(0o644)
