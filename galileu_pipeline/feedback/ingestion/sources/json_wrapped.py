"""A JSON object around a list of rows, `{"data": [...]}`, as other programs answer; read as a stream."""

import io
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import IO

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.sources.rows import BATCH_ROWS, MAX_ROW_BYTES, RowBatch, batch_of_bytes
from galileu_pipeline.feedback.ingestion.sources.shapes import FIELD_NAMES, TABLES

_PIECE_CHARS = 1 << 20
_WRAPPERS = "data|rows|items|results|records|feedback|feedbacks|votes|ratings|entries|scores|list|values"
_PLAIN_VALUE = r'(?:"[^"]*"|[-+.\w]+|\{[^{}\[\]]*\})'
_BEGINNING = re.compile(
    rf'\ufeff?\s*\{{((?:\s*"[^"]*"\s*:\s*{_PLAIN_VALUE}\s*,)*)\s*"(?:{_WRAPPERS})"\s*:\s*\[(?=\s*[\{{\]])'
)
_KEY = re.compile(r'"([^"]*)"\s*:')
_SPACE = re.compile(r"\s*")
_decode = json.JSONDecoder().raw_decode


def list_begins(head: str) -> int | None:
    """Where the rows begin in a document that begins with `head`; None if it is no list in an object."""
    found = _BEGINNING.match(head)
    if found is None or set(_KEY.findall(found[1])) & set(FIELD_NAMES):
        return None
    return found.end()


def read_json_wrapped(file: IO[bytes]) -> Iterator[RowBatch]:
    """The objects of the list; positions count them from 1.

    Raises:
        InputError: the document breaks off or is not JSON; says at which object.
    """
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    objects = enumerate(_objects(text), start=1)
    while batch := list(islice(objects, BATCH_ROWS)):
        rows = (row.encode("utf-8", "surrogateescape") for _, row in batch)
        yield batch_of_bytes([position for position, _ in batch], rows)


def _objects(text: io.TextIOWrapper) -> Iterator[str]:
    buffer = text.read(_PIECE_CHARS)
    place, count = list_begins(buffer) or 0, 0
    while True:
        place = _skip_space(buffer, place)
        if buffer[place : place + 1] == "]":
            break
        try:
            _, end = _decode(buffer, place)
            follows = buffer[_skip_space(buffer, end)]
        except RecursionError:
            raise InputError(f"cannot be read as JSON: object {count + 1} of the list is nested too deep") from None
        except (ValueError, IndexError):
            piece = text.read(_PIECE_CHARS) if len(buffer) - place <= MAX_ROW_BYTES else ""
            if not piece:
                raise InputError(
                    f"cannot be read as JSON: object {count + 1} of the list is cut off or broken"
                ) from None
            buffer, place = buffer[place:] + piece, 0
            continue
        if follows not in ",]":
            raise InputError(f"cannot be read as JSON: no comma after object {count + 1} of the list")
        count += 1
        yield buffer[place:end]
        place = _skip_space(buffer, end) + (follows == ",")
    _require_end(buffer[place + 1 :] + text.read(MAX_ROW_BYTES))


def _skip_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _require_end(rest: str) -> None:
    """What follows the list must close the object, and hold no other rows."""
    try:
        others = json.loads("{" + rest.lstrip().removeprefix(","))
    except (ValueError, RecursionError) as error:
        raise InputError("cannot be read as JSON: it breaks off, or goes wrong, after the list of rows") from error
    for name, value in others.items():
        if isinstance(value, list) and value and isinstance(value[0], dict) and _are_rows(name, value[0]):
            raise InputError(f"has rows in several lists, `{name}` among them; make a file of each list")


def _are_rows(name: str, first: dict[str, object]) -> bool:
    return name in (*_WRAPPERS.split("|"), *(table.name for table in TABLES)) or len(first.keys() & {*FIELD_NAMES}) > 1
