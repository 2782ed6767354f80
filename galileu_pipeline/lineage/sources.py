"""The rows of feedback behind datasets, as each dataset's folder records them; counted by DuckDB, never row by row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files as package_files
from itertools import groupby
from typing import Any, Literal, TypeVar

import duckdb
from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.database import connect
from galileu_pipeline.errors import GalileuError
from galileu_pipeline.lineage.artifacts import Artifact

DATASETS = ("sft_dataset", "dpo_dataset", "reward_dataset")
_FILES = dict.fromkeys(DATASETS, "sources.parquet") | {"preference_pairs": "pair_sources.parquet"}
_SPLITS = ("train.parquet", "validation.parquet", "test.parquet")
_COLUMNS = {"feedback_id", "person", "role"}
_READ_ROWS = 10_000


T = TypeVar("T")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Feedback(_Record):
    """How much feedback is behind something. Rows of nobody known count as rows, not as people."""

    rows: int = Field(description="votes and choices, each once")
    people: int
    items: int = Field(description="pairs and examples they are behind, each once")


class Held(_Record):
    """What a dataset holds of a person or of a row of feedback."""

    items: int
    rows: int


class Source(_Record):
    """A row of feedback behind an item."""

    feedback_id: str
    person: str | None
    role: str


class Item(_Record):
    """A pair or an example of a dataset. `side` is train or test; None for what is only measured on."""

    item_id: str
    side: str | None
    sources: list[Source]


class PersonRows(_Record):
    person: str | None
    rows: int


class ChangedRows(_Record):
    """Rows of feedback that are behind one thing and not behind another."""

    rows: int
    by_person: list[PersonRows] = Field(description="the most first; None for rows of nobody known")
    ids: list[str]


class Sources:
    """The recorded sources of some artifacts. Datasets with the same sources, byte by byte, are read once.

    DuckDB may open these files and no others.

    Args:
        absent: ids of artifacts that should be among them, but are gone.

    Attributes:
        unrecorded: ids of artifacts without sources: made by an earlier version, or they or their file are gone.
    """

    def __init__(self, artifacts: Iterable[Artifact], absent: Iterable[str] = ()) -> None:
        self.unrecorded = list(absent)
        self._by_file: dict[str, list[str]] = {}
        self._artifacts = {artifact.id: artifact for artifact in artifacts if artifact.manifest.asset in _FILES}
        by_content: dict[str, str] = {}
        for artifact in self._artifacts.values():
            name = _FILES[artifact.manifest.asset]
            content, path = artifact.manifest.files.get(name), artifact.path / name
            if content is None or not path.is_file():
                self.unrecorded.append(artifact.id)
            else:
                self._by_file.setdefault(by_content.setdefault(content, str(path)), []).append(artifact.id)
        self._leave_out_earlier_versions()

    def count(self) -> tuple[Feedback, dict[str, Feedback]]:
        """The feedback behind all of them together, and behind each."""
        counts = self._query("count_sources")
        by_file = {
            file: _feedback((what, n) for what, holders, n in counts if holders >> number & 1)
            for number, file in enumerate(self._by_file)
        }
        return _feedback((what, n) for what, _, n in counts), self._by_artifact(by_file)

    def holding(self, what: Literal["person", "feedback"], wanted: str) -> dict[str, Held]:
        """Those that hold feedback of a person (by pseudonym), or a row of feedback (by id)."""
        rows = self._query(f"find_{what}", wanted=wanted)
        return self._by_artifact({file: Held(items=items, rows=found) for file, items, found in rows})

    @property
    def recorded(self) -> list[str]:
        """The ids of those whose sources can be read."""
        return [artifact_id for ids in self._by_file.values() for artifact_id in ids]

    def items(self, artifact_id: str, most: int | None = None) -> Iterator[Item]:
        """The items of a recorded artifact, by id, with the feedback behind each: all, or the first `most`."""
        folder = self._artifacts[artifact_id].path
        source = next(file for file, ids in self._by_file.items() if artifact_id in ids)
        splits = [str(folder / name) for name in _SPLITS if (folder / name).is_file()] or [source]
        with open_files([source, *splits]) as connection:
            rows = _by_row(execute(connection, "select_items", source=source, splits=splits, most=most))
            for (item_id, side), behind in groupby(rows, key=lambda row: row[:2]):
                sources = [Source(feedback_id=row[2], person=row[3], role=row[4]) for row in behind]
                yield Item(item_id=item_id, side=side, sources=sources)

    def changed_to(self, after: "Sources") -> tuple[ChangedRows, ChangedRows]:
        """The rows that are behind `after` and not behind these; and those that are behind these alone."""
        sides = {"before": list(self._by_file), "after": list(after._by_file)}
        files = list(dict.fromkeys(sides["before"] + sides["after"]))
        if not files:
            nothing = ChangedRows(rows=0, by_person=[], ids=[])
            return nothing, nothing
        with open_files(files) as connection:
            execute(connection, "compare_sources", files=files, **sides)
            return _changed(connection, added=True), _changed(connection, added=False)

    def _leave_out_earlier_versions(self) -> None:
        """The first versions recorded no people."""
        for file, columns in self._query("select_columns"):
            if not set(columns) >= _COLUMNS:
                self.unrecorded += self._by_file.pop(file)

    def _query(self, statement: str, **variables: object) -> list[tuple[Any, ...]]:
        if not (files := list(self._by_file)):
            return []
        with open_files(files) as connection:
            return execute(connection, statement, files=files, **variables).fetchall()

    def _by_artifact(self, found: Mapping[str, T]) -> dict[str, T]:
        return {artifact_id: value for file, value in found.items() for artifact_id in self._by_file[file]}


def rows_kept_out(
    pairs: Iterable[Artifact], what: Literal["person", "feedback"], wanted: str
) -> dict[tuple[str, str], int]:
    """How many rows of a person, or whether the one row, kept a `pair` or an `example` out of what was made of pairs.

    Such rows are in no dataset's sources, yet without them it would be another one.

    Returns:
        Rows by (id of the `preference_pairs` artifact, kind).
    """
    files = {str(path): found.id for found in pairs if (path := found.path / "kept_out.parquet").is_file()}
    if not files:
        return {}
    with open_files(list(files)) as connection:
        rows = execute(connection, "find_kept_out", files=list(files), what=what, wanted=wanted).fetchall()
    return {(files[file], kind): count for file, kind, count in rows}


def _feedback(counts: Iterable[tuple[str, int]]) -> Feedback:
    sums = dict.fromkeys(Feedback.model_fields, 0)
    for what, n in counts:
        sums[what] += n
    return Feedback(**sums)


@contextmanager
def open_files(files: Sequence[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that can open these files.

    Raises:
        GalileuError: one of them cannot be read.
    """
    try:
        with connect() as connection:
            connection.execute("SET allowed_paths = $files", {"files": files})
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            yield connection
    except duckdb.Error as error:
        raise GalileuError(
            f"The sources of a dataset cannot be read: {error}. `galileu verify` finds files that are not as they were."
        ) from error


def execute(connection: duckdb.DuckDBPyConnection, statement: str, **variables: object) -> duckdb.DuckDBPyConnection:
    for name, value in variables.items():
        connection.execute(f"SET VARIABLE {name} = $value", {"value": value})
    return connection.execute(lineage_sql(statement))


def _by_row(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := result.fetchmany(_READ_ROWS):
        yield from rows


def _changed(connection: duckdb.DuckDBPyConnection, *, added: bool) -> ChangedRows:
    people = execute(connection, "count_changed_rows", added=added).fetchall()
    return ChangedRows(
        rows=sum(rows for _, rows in people),
        by_person=[PersonRows(person=person, rows=rows) for person, rows in people],
        ids=[row[0] for row in execute(connection, "select_changed_rows", added=added).fetchall()],
    )


@cache
def lineage_sql(name: str) -> str:
    """The text of `lineage/sql/<name>.sql`."""
    return (package_files("galileu_pipeline.lineage") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
