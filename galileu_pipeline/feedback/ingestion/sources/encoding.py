"""How a text file spells its letters: UTF-8 or, judged for the whole file, Windows-1252. No other is guessed."""

import io
import re
from collections.abc import Iterator
from typing import IO, Any

UTF8, WINDOWS_1252 = "utf-8", "cp1252"
_CHUNK_BYTES = 1 << 20
_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# A letter that the end of a piece cuts in two.
_CUT_LETTER = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
_ASCII = bytes(byte for byte in range(128) if byte != ord("\n"))
# What people in Western Europe and the Americas write; other bytes speak of another encoding, or of damage.
_USUAL = "àáâãäåæçèéêëìíîïñòóôõöøùúûüßœÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒ‘’“”–—…•€£¢§°ºª¹²³½¼¡¿«»´·©®™\xa0".encode("cp1252")
_USUAL_SHARE = 0.9
# So many letters that are not UTF-8, on such a share of the lines, are another encoding; fewer are damage.
_SEVERAL, _SEVERAL_SHARE = 3, 0.01


def text_encoding(file: IO[bytes]) -> str | None:
    """`UTF8`, `WINDOWS_1252` or None for neither, after one look at all of `file`.

    The look takes a fraction of what reading the rows does. A file that is UTF-8 but for a few broken places is UTF-8:
    only those rows are refused.
    """
    sequences, lone, usual, lines, broken_lines = 0, 0, 0, 1, 0
    for chunk in _pieces(file):
        lines += chunk.count(b"\n")
        if chunk.isascii():
            continue
        try:
            sequences += len(chunk) - len(chunk.decode("utf-8"))
            continue
        except UnicodeDecodeError:
            pass
        sequences += len(_UTF8_SEQUENCE.findall(chunk))
        rest = _UTF8_SEQUENCE.sub(b"", chunk).translate(None, _ASCII)
        broken = [line for line in rest.split(b"\n") if line]
        broken_lines += len(broken)
        lone += sum(map(len, broken))
        usual += sum(len(line) - len(line.translate(None, _USUAL)) for line in broken)
    if lone <= sequences:
        return UTF8
    if usual >= _USUAL_SHARE * lone:
        return WINDOWS_1252
    return None if lone >= _SEVERAL and broken_lines >= _SEVERAL_SHARE * lines else UTF8


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """All of `file`, however long its lines are, no letter of UTF-8 in two pieces."""
    cut = b""
    while piece := file.read(_CHUNK_BYTES):
        piece = cut + piece
        found = _CUT_LETTER.search(piece[-3:])
        cut = found[0] if found else b""
        yield piece[: len(piece) - len(cut)]
    if cut:
        yield cut


def utf8(file: IO[bytes], encoding: str) -> IO[bytes]:
    """`file` as UTF-8, read as a stream. Bytes that mean nothing in `encoding` stay as they are."""
    return file if encoding == UTF8 else io.BufferedReader(_Recoder(file, encoding), _CHUNK_BYTES)


class _Recoder(io.RawIOBase):
    """Of encodings of one byte a letter: of others a piece could end within a letter."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file, self._encoding, self._rest = file, encoding, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            text = self._file.read(_CHUNK_BYTES).decode(self._encoding, "surrogateescape")
            self._rest = text.encode("utf-8", "surrogateescape")
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
