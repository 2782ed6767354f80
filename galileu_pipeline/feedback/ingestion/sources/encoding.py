"""How a text file spells its letters: UTF-8 or, judged for the whole file, Windows-1252."""

import re
from typing import IO

UTF8, WINDOWS_1252 = "utf-8", "cp1252"
_CHUNK_BYTES = 1 << 20
_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_ASCII = bytes(range(128))
_NO_BEGINNING = bytes(byte for byte in range(256) if not 0xC2 <= byte <= 0xF4)  # of a letter of several bytes
# What people in Western Europe and the Americas write; other bytes speak of another encoding, or of damage.
_USUAL = "àáâãäåæçèéêëìíîïñòóôõöøùúûüßœÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒ‘’“”–—…•€£¢§°ºª¹²³½¼¡¿«»´·©®™\xa0".encode("cp1252")
_USUAL_SHARE = 0.9


def text_encoding(file: IO[bytes]) -> str:
    """`UTF8` or `WINDOWS_1252`, after one look at all of `file`, which takes a fraction of what reading its rows does.

    A file that is UTF-8 but for a few broken places is UTF-8: only those rows are refused.
    """
    sequences, lone, usual = 0, 0, 0
    # To the end of a line each time, so that no letter is cut in two.
    while chunk := file.read(_CHUNK_BYTES) + file.readline():
        if _is_utf8(chunk):
            sequences += len(chunk.translate(None, _NO_BEGINNING))
            continue
        sequences += len(_UTF8_SEQUENCE.findall(chunk))
        rest = _UTF8_SEQUENCE.sub(b"", chunk).translate(None, _ASCII)
        lone += len(rest)
        usual += len(rest) - len(rest.translate(None, _USUAL))
    return WINDOWS_1252 if lone > sequences and usual >= _USUAL_SHARE * lone else UTF8


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
