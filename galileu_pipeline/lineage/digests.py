"""Content digests: of files, of folders, of settings, of this code."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def json_digest(value: object) -> str:
    """sha256 of `value` as canonical JSON: keys sorted, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digests(folder: Path) -> dict[str, str]:
    """sha256 of every file below `folder`, by its path relative to it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}


def files_digest(files: Mapping[str, str]) -> str:
    """One digest over the files of an artifact and their names."""
    return json_digest(dict(files))


@cache
def code_digest() -> str:
    """sha256 over the package's sources: Python, SQL and profiles."""
    sources = (path for suffix in ("py", "sql", "yaml", "txt") for path in PACKAGE.rglob(f"*.{suffix}"))
    return files_digest({path.relative_to(PACKAGE).as_posix(): file_digest(path) for path in sorted(sources)})
