"""Records of a CSV file, found without losing a line.

A quotation mark at the beginning of a cell opens a quoted cell, which may go on over several lines. It may as well be
just a quotation mark, as tab-separated files have it: then a plain CSV reader would swallow all lines up to the next
mark, and give the last one's rating to the first one's question. So each line is accounted for here.
"""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

from galileu_pipeline.feedback.ingestion.sources.rows import MAX_ROW_BYTES

csv.field_size_limit(MAX_ROW_BYTES)


@dataclass(frozen=True)
class Record:
    """Cells of a record, or why there are none, with the number of the line where it begins (from 1)."""

    line: int
    cells: list[str]
    fault: str | None = None
    too_long: bool = False


class LineReader:
    """Numbered lines of a text file, some of which may be put back. A line of more than `MAX_ROW_BYTES` is cut off."""

    def __init__(self, file: TextIO, first: int = 1) -> None:
        self._file = file
        self._next = first
        self._put_back: deque[tuple[int, str]] = deque()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self

    def __next__(self) -> tuple[int, str]:
        if self._put_back:
            return self._put_back.popleft()
        text = self._file.readline(MAX_ROW_BYTES + 1)
        if not text:
            raise StopIteration
        if len(text) > MAX_ROW_BYTES and not text.endswith(("\n", "\r")):
            while (rest := self._file.readline(MAX_ROW_BYTES)) and not rest.endswith(("\n", "\r")):
                pass
        number, self._next = self._next, self._next + 1
        return number, text

    def put_back(self, lines: list[tuple[int, str]]) -> None:
        self._put_back.extendleft(reversed(lines))


class RecordReader:
    """The records of `lines`.

    Args:
        width: how many cells a whole row has.
        is_row: whether so many cells can be a row, judged by what they hold.
    """

    def __init__(self, lines: LineReader, delimiter: str, width: int, is_row: Callable[[list[str]], bool]) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._width = width
        self._is_row = is_row
        escaped = re.escape(delimiter)
        self._cell = re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|([^{escaped}]*)){escaped}')
        self._in_doubt = False

    def __iter__(self) -> Iterator[Record]:
        for number, text in self._lines:
            if len(text) > MAX_ROW_BYTES:
                yield Record(number, [], f"the line has more than {MAX_ROW_BYTES >> 20} MiB", too_long=True)
            elif '"' in text:
                yield self._marked(number, text)
            else:
                cells = text.rstrip("\r\n").split(self._delimiter)
                self._in_doubt = self._in_doubt and not self._is_whole(cells)
                yield Record(number, cells)

    def _marked(self, number: int, text: str) -> Record:
        """The record that begins with a line in which there are quotation marks."""
        more: list[tuple[int, str]] = []

        def supply() -> Iterator[str]:
            size = len(text)
            yield text
            for item in self._lines:
                more.append(item)
                size += len(item[1])
                if size > MAX_ROW_BYTES:
                    return
                yield item[1]

        try:
            cells = next(csv.reader(supply(), delimiter=self._delimiter, strict=True))
        except csv.Error:
            self._lines.put_back(more)
            if (escaped := self._escaped(text)) is not None:
                return Record(number, escaped)
            return self._line(number, self._cells_of_line(text), well_formed=False)
        if not more:
            return self._line(number, cells, well_formed=True)
        if self._could_be_row(text) and self._could_be_row(more[-1][1]):
            if all(self._could_be_row(line) for _, line in more):
                self._lines.put_back(more)  # each line is a row of its own: the mark quotes nothing
                return self._line(number, self._cells_of_line(text), well_formed=False)
            return Record(
                number, cells, "a quotation over several lines, of which the first and the last could be rows"
            )
        return Record(number, cells)

    def _escaped(self, text: str) -> list[str] | None:
        """The cells of a line whose quotation marks have backslashes before them, as Spark writes it; or None."""
        if '\\"' not in text:
            return None
        try:
            (cells,) = csv.reader([text.replace('\\"', '""')], delimiter=self._delimiter, strict=True)
        except (csv.Error, ValueError):
            return None
        return cells if len(cells) == self._width else None

    def _line(self, number: int, cells: list[str], *, well_formed: bool) -> Record:
        """A line by itself. After one that opens a quotation and does not end it, the likely end is refused too."""
        tail = self._in_doubt and any(cell.endswith('"') and not cell.startswith('"') for cell in cells)
        if not tail and (well_formed or self._is_whole(cells)):
            return Record(number, cells)
        self._in_doubt = True
        return Record(number, cells, f"{len(cells)} cells, and a quotation mark that is left open or stands alone")

    def _cells_of_line(self, text: str) -> list[str]:
        """The cells of one line, in which a quotation mark that does not quote a whole cell is just that."""
        found = self._cell.finditer(text.rstrip("\r\n") + self._delimiter)
        return [cell[2] if cell[1] is None else cell[1].replace('""', '"') for cell in found]

    def _could_be_row(self, text: str) -> bool:
        cells = self._cells_of_line(text)
        return self._is_whole(cells) and self._is_row(cells)

    def _is_whole(self, cells: list[str]) -> bool:
        """Spreadsheets put delimiters for empty columns behind the last one."""
        return len(cells) >= self._width and not any(cells[self._width :])
