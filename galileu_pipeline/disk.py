"""Disks that are full, read-only or broken: what a library says of it, as one error with a remedy."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galileu_pipeline.errors import GalileuError, StorageError

_FULL = "Make room (`galileu prune --keep 3` removes old models) and run it again"
_CLOSED = "Make the data folder (GALILEU_DATA_DIR) writable for this user and run it again"
_FORBIDDEN = "Let this user read and write there and run it again"
_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "Raise the limit on the size of files (`ulimit -f`) and run it again",
    errno.EROFS: _CLOSED,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EIO: "Look at the disk (`dmesg` says what is wrong with it) and run it again",
}
_RUST = re.compile(r"\(os error (\d+)\)")  # safetensors, tokenizers
_TORCH = ("PytorchStreamWriter failed", "unexpected pos")  # torch.save, which does not say why


def require_space(folder: Path, gb: float) -> None:
    """Ask before a long work whether what it writes will have a place.

    Raises:
        StorageError: fewer than `gb` GiB are free where `folder` is.
    """
    free = shutil.disk_usage(folder).free / 1024**3
    if free < gb:
        raise StorageError(
            f"{free:.2f} GiB are free at {folder}, of {gb:g} that are needed (`resources` of the profile). {_FULL}."
        )


@contextmanager
def disk_faults_explained() -> Iterator[None]:
    """Turns what libraries raise where a disk does not take a file into `StorageError`; all else passes.

    Raises:
        StorageError: with cause and remedy.
    """
    try:
        yield
    except GalileuError:
        raise
    except Exception as error:
        if (explained := _explain(error)) is None:
            raise
        raise explained from error


def _explain(error: BaseException) -> StorageError | None:
    number = _number(error)
    if number is None:
        return None
    where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
    return StorageError(
        f"{os.strerror(number)}{where}. {_REMEDIES[number]}; what was whole before is as it was, "
        "and a training goes on from its last checkpoint."
    )


def _number(error: BaseException) -> int | None:
    """The operating system's number of the fault, looked for in the error and what it came from.

    What is merely forbidden is looked for in the error itself and its causes alone: libraries try forbidden places on
    their way, such as caches, and what else goes wrong afterwards has nothing to do with those.
    """
    seen: BaseException | None = error
    caused = True
    while seen is not None:
        found = seen.errno if isinstance(seen, OSError) else _told(str(seen))
        if found in _REMEDIES and (caused or _REMEDIES[found] != _FORBIDDEN):
            return found
        caused = caused and seen.__cause__ is not None
        seen = seen.__cause__ or seen.__context__
    return errno.ENOSPC if any(words in str(error) for words in _TORCH) else None


def _told(text: str) -> int | None:
    if match := _RUST.search(text):
        return int(match[1])
    return next((number for number in (errno.ENOSPC, errno.EROFS, errno.EDQUOT) if os.strerror(number) in text), None)
