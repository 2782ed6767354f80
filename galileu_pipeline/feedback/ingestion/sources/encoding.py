"""How a text file spells its letters: UTF-8 or, judged for the whole file, Windows-1252."""

import codecs
import re
from typing import IO

UTF8, WINDOWS_1252 = "utf-8", "cp1252"
_CHUNK_BYTES = 1 << 20
_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_ASCII = bytes(range(128))
# What people in Western Europe and the Americas write; other bytes speak of another encoding, or of damage.
_USUAL = "àáâãäåæçèéêëìíîïñòóôõöøùúûüßœÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒ‘’“”–—…•€£¢§°ºª¹²³½¼¡¿«»´·©®™\xa0".encode("cp1252")
_USUAL_SHARE = 0.9


def text_encoding(file: IO[bytes]) -> str:
    """`UTF8` or `WINDOWS_1252`, after one look at all of `file`, which takes a fraction of what reading its rows does.

    A file that is UTF-8 but for a few broken places is UTF-8: only those rows are refused.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    valid, sequences, lone, usual = True, 0, 0, 0
    # To the end of a line each time, so that no letter is cut in two.
    while chunk := file.read(_CHUNK_BYTES) + file.readline():
        if chunk.isascii():
            continue
        valid = valid and _decodes(decoder, chunk)
        rest = _UTF8_SEQUENCE.sub(b"", chunk).translate(None, _ASCII)
        sequences += len(_UTF8_SEQUENCE.findall(chunk))
        lone += len(rest)
        usual += len(rest) - len(rest.translate(None, _USUAL))
    if valid or lone <= sequences or usual < _USUAL_SHARE * lone:
        return UTF8
    return WINDOWS_1252


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes) -> bool:
    try:
        decoder.decode(chunk)
    except UnicodeDecodeError:
        return False
    return True
