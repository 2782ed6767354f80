"""JSON lines: a file of any size in little memory."""

from collections.abc import Iterator
from typing import IO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from galileu_pipeline.feedback.ingestion.reasons import Reason
from galileu_pipeline.feedback.ingestion.sources.compression import UTF8_BOM
from galileu_pipeline.feedback.ingestion.sources.rows import (
    BATCH_BYTES,
    MAX_ROW_BYTES,
    RefusedRow,
    RowBatch,
    batch_of_bytes,
)

_NEWLINE = ord("\n")
_PIECE_BYTES = 1 << 20
_MAX_BLANK_BYTES = 64  # a longer line is not looked at for being blank


def read_json_lines(file: IO[bytes]) -> Iterator[RowBatch]:
    """The lines of `file` without the blank ones. A line of more than `MAX_ROW_BYTES` is refused and not kept."""
    first_line, rest = 1, b""
    while True:
        # Arrow's memory: it is used again batch after batch, and what is read there is never copied.
        buffer = pa.allocate_buffer(len(rest) + BATCH_BYTES)
        memory = memoryview(buffer).cast("B")
        memory[: len(rest)] = rest
        filled = len(rest) + _fill(file, memory[len(rest) :])
        if not filled:
            return
        ends = _line_ends(np.frombuffer(memory[:filled], dtype=np.uint8))
        if filled < len(memory) and (not len(ends) or ends[-1] != filled):
            ends = np.append(ends, filled)  # the file ends without a newline
        if len(ends):
            yield _batch(buffer, ends, first_line)
            first_line += len(ends)
        rest = bytes(memory[ends[-1] if len(ends) else 0 : filled])
        if len(rest) > MAX_ROW_BYTES:
            yield RowBatch(pa.array([], pa.int64()), pa.array([], pa.string()), [_too_long(first_line)])
            rest = _after_next_newline(file)
            first_line += 1


def _fill(file: IO[bytes], memory: memoryview) -> int:
    """Read until `memory` is full or the file ends. Returns the number of bytes."""
    filled = 0
    while filled < len(memory) and (count := file.readinto(memory[filled:])):  # type: ignore[attr-defined]
        filled += count
    return filled


def _line_ends(text: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Where lines end, behind each newline; looked for piece by piece, so that the pieces stay in the cache."""
    pieces = range(0, len(text), _PIECE_BYTES)
    found = [np.flatnonzero(text[start : start + _PIECE_BYTES] == _NEWLINE) + (start + 1) for start in pieces]
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _batch(buffer: pa.Buffer, ends: NDArray[np.int64], first_line: int) -> RowBatch:
    """The lines of `buffer` that end at `ends`: numpy finds them, Arrow takes the bytes as they lie."""
    starts = np.concatenate([[0], ends[:-1]])
    lengths = ends - starts
    numbers = np.arange(first_line, first_line + len(ends), dtype=np.int64)
    memory = memoryview(buffer).cast("B")

    kept = lengths <= MAX_ROW_BYTES
    refused = [_too_long(int(number)) for number in numbers[~kept]]
    for index in np.flatnonzero(lengths <= _MAX_BLANK_BYTES):
        kept[index] = bool(bytes(memory[starts[index] : ends[index]]).strip())
    offsets = np.append(starts, ends[-1:]).astype(np.int32)
    rows = pa.Array.from_buffers(pa.string(), len(ends), [None, pa.py_buffer(offsets), buffer])
    # Where files were put one behind the other, each may have brought its byte order mark.
    marked = (np.frombuffer(memory, dtype=np.uint8)[starts] == UTF8_BOM[0]).any()
    if marked or not _is_utf8(rows):
        lines = {
            int(numbers[index]): bytes(memory[starts[index] : ends[index]]).removeprefix(UTF8_BOM)
            for index in np.flatnonzero(kept)
        }
        lines = {number: line for number, line in lines.items() if line.strip()}
        return batch_of_bytes(list(lines), lines.values(), refused)
    return RowBatch(pa.array(numbers[kept]), rows if kept.all() else rows.filter(pa.array(kept)), refused)


def _is_utf8(rows: pa.StringArray) -> bool:
    try:
        rows.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _too_long(line: int) -> RefusedRow:
    return RefusedRow(line, Reason.ROW_TOO_LONG, f"the line has more than {MAX_ROW_BYTES >> 20} MiB")


def _after_next_newline(file: IO[bytes]) -> bytes:
    while chunk := file.read(BATCH_BYTES):
        _, newline, rest = chunk.partition(b"\n")
        if newline:
            return rest
    return b""
