"""Compressed files read as if they were not, and what cannot be read called by its name. Both by the first bytes."""

import bz2
import gzip
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from galileu_pipeline.errors import InputError

HEAD_BYTES = 1 << 16
UTF8_BOM = b"\xef\xbb\xbf"
_ZIP = b"PK\x03\x04"
_OTHER_FILES = {
    b"PK\x05\x06": "an empty ZIP archive",
    b"\x1f\x9d": "compressed with `compress` (.Z); decompress it first",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; decompress it first",
    b"Rar!\x1a\x07": "a RAR archive; decompress it first",
    b"LZIP": "compressed with lzip; decompress it first",
    b"\x89LZO": "compressed with lzop; decompress it first",
    b"\xff\x06\x00\x00sNaPpY": "compressed with Snappy; decompress it first",
    b"\xd0\xcf\x11\xe0": "an old Office file (.xls or .doc); save the sheet as CSV (UTF-8)",
    b"ARROW1": "an Arrow file; write it as JSON lines first",
    b"ORC": "an ORC file; write it as JSON lines first",
    b"Obj\x01": "an Avro file; write it as JSON lines first",
    b"\x89HDF": "an HDF5 file; write it as JSON lines first",
    b"\x93NUMPY": "a NumPy file; write it as JSON lines first",
    b"\x80\x04\x95": "a Python pickle; write it as JSON lines first",
    b"\x80\x05\x95": "a Python pickle; write it as JSON lines first",
    b"\xff\xfe": "in UTF-16; save it as UTF-8",
    b"\xfe\xff": "in UTF-16; save it as UTF-8",
    b"%PDF": "a PDF file",
    b"{\\rtf": "an RTF document",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"RIFF": "a RIFF file (sound or picture)",
    b"\x7fELF": "a program",
    b"MZ\x90": "a program",
}
_PLACED = {257: (b"ustar", "a tar archive; unpack it first"), 8: (b"DUCK", "a DuckDB database; export its table first")}
_TEXT_CONTROLS = frozenset(b"\t\n\v\f\r\x1b\x1c\x1d\x1e\x1f")
_BINARY_SHARE = 0.05  # of control characters; texts with a stray one are texts


def is_compressed(path: Path) -> bool:
    """Whether `open_plain` would decompress the file."""
    with path.open("rb") as file:
        return _opener(file.read(8)) is not None


def open_plain(path: Path) -> io.BufferedReader:
    """The file's content, decompressed where it is compressed; `peek` shows its first `HEAD_BYTES` bytes.

    Raises:
        InputError: it is a ZIP archive of several files, or of a spreadsheet.
    """
    with path.open("rb") as file:
        opener = _opener(file.read(8))
    raw = opener(path) if opener else path.open("rb", buffering=0)
    return io.BufferedReader(cast(io.RawIOBase, raw), HEAD_BYTES)


def name_other_file(head: bytes) -> str | None:
    """What a file that begins with `head` is, where it is nothing that can be imported: "a PDF file"."""
    for magic, name in _OTHER_FILES.items():
        if head.startswith(magic):
            return name
    for place, (magic, name) in _PLACED.items():
        if head[place : place + len(magic)] == magic:
            return name
    if _opener(head):
        return "compressed twice; decompress it once first"
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) > 0.2 * len(head) and min(even, odd) < 0.05 * len(head):
        return "in UTF-16 without a mark; save it as UTF-8"
    controls = sum(byte < 0x20 and byte not in _TEXT_CONTROLS for byte in head)
    if controls > _BINARY_SHARE * len(head) and not looks_like_json(head):
        return "a binary file of no known kind"
    return None


def looks_like_json(head: bytes) -> bool:
    """Whether a file that begins with `head` is JSON, be it broken."""
    return head.removeprefix(UTF8_BOM).lstrip()[:1] in (b"[", b"{")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Faults of the file, told as such, with its name."""
    shown = shown_name(path)
    try:
        yield
    except NotImplementedError as error:
        raise InputError(f"{shown} is packed in a way that cannot be read: {error}. Unpack it first.") from error
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{shown} is a damaged ZIP or spreadsheet file: {error}. Nothing of it was imported."
        ) from error
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, pa.ArrowException) as error:
        raise InputError(f"{shown} is damaged: {error}. Nothing of it was imported.") from error
    except OSError as error:
        # What bz2 and Arrow raise has no number; the system's own errors have one.
        if error.errno is None:
            raise InputError(f"{shown} is damaged: {error}. Nothing of it was imported.") from error
        raise InputError(f"{shown} cannot be read: {error.strerror}.") from error
    except InputError as error:
        if shown in str(error):
            raise
        raise InputError(f"{shown}: {error}") from error


def shown_name(path: Path) -> str:
    """The path as text that can be shown and stored: names may be bytes that are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def _opener(head: bytes) -> Callable[[Path], IO[bytes]] | None:
    openers: dict[bytes, Callable[[Path], object]] = {
        b"\x1f\x8b": gzip.open,
        b"BZh": bz2.open,
        b"\xfd7zXZ\x00": lzma.open,
        b"\x28\xb5\x2f\xfd": lambda path: _arrow(path, "zstd"),
        b"\x04\x22\x4d\x18": lambda path: _arrow(path, "lz4"),
        _ZIP: _only_member,
    }
    found = [opener for magic, opener in openers.items() if head.startswith(magic)]
    return cast(Callable[[Path], IO[bytes]], found[0]) if found else None


def _arrow(path: Path, codec: str) -> pa.CompressedInputStream:
    return pa.CompressedInputStream(path.open("rb"), codec)


def _only_member(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    members = [item for item in archive.infolist() if not item.is_dir() and not item.filename.startswith("__MACOSX/")]
    names = {item.filename for item in members}
    if names & {"[Content_Types].xml", "mimetype"}:
        raise InputError(
            f"{shown_name(path)} is a ZIP or spreadsheet file of an office program; save the sheet as CSV (UTF-8)."
        )
    if len(members) != 1:
        raise InputError(f"{shown_name(path)} is a ZIP archive of {len(members)} files; unpack it, and import those.")
    if members[0].flag_bits & 1:
        raise InputError(f"{shown_name(path)} is a ZIP archive with a password; unpack it first.")
    return archive.open(members[0])
