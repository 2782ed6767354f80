"""Taking a person's feedback out of artifacts: their texts go, models' weights and the records of lineage stay.

Files that hold people's texts are removed whole; files that name the rows behind an artifact are written anew without
the person's. Manifests are not touched: tombstones say which files they speak of are gone on purpose.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
from filelock import Timeout
from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.database import in_memory
from galileu_pipeline.errors import GalileuError
from galileu_pipeline.files import staged, sync
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.digests import file_digest
from galileu_pipeline.lineage.graph import Graph
from galileu_pipeline.lineage.manifest import MANIFEST_NAME
from galileu_pipeline.lineage.retention import rubbish
from galileu_pipeline.lineage.sources import DATASETS, lineage_sql
from galileu_pipeline.lineage.tombstones import Taint

# Files of a dataset that name rows of feedback, and hold no text.
_RECORDS = (
    "sources.parquet",
    "pair_sources.parquet",
    "question_rows.parquet",
    "kept_out.parquet",
    "set_aside.parquet",
)
_MODEL_TEXTS = ("samples.json", "answers.jsonl")


class Reach(BaseModel):
    """How far a person's feedback went."""

    model_config = ConfigDict(frozen=True)

    holding: list[str] = Field(description="datasets, by id, that record it or do not record whose feedback they hold")
    tainted: dict[str, Taint] = Field(description="models that learnt from it, by id")
    artifacts: list[str] = Field(description="ids of all that may hold texts of theirs; the former two are among them")


def find_reach(store: ArtifactStore, person: str) -> Reach:
    """What holds the person's feedback, what was made from that, and analyses, which do not name whom they are of.

    Raises:
        GalileuError: a manifest or a dataset cannot be read.
    """
    graph = Graph.read(store)
    holding = [artifact for artifact in graph.artifacts.values() if _holds(artifact, person)]
    datasets = [artifact.id for artifact in holding if artifact.manifest.asset in DATASETS]
    made = [graph.artifacts[found] for found in graph.descendants(*datasets)]
    analyses = [found for found in graph.artifacts.values() if found.manifest.asset == "feedback_analytics"]
    tainted = {
        model.id: _taint([graph.artifacts[found] for found in graph.datasets(model.id) if found in datasets], person)
        for model in made
        if store.data.artifacts(model.manifest.asset).name == "models"
    }
    reached = dict.fromkeys(artifact.id for artifact in (*holding, *made, *analyses))
    return Reach(holding=[artifact.id for artifact in holding], tainted=tainted, artifacts=list(reached))


def require_idle(store: ArtifactStore, artifacts: Sequence[str]) -> None:
    """Make sure that nothing is being made of these.

    Raises:
        GalileuError: something is; it would bring the feedback back.
    """
    for name, inputs in store.in_the_making().items():
        if store.is_held(name) and set(artifacts) & {name, *inputs}:
            raise GalileuError(
                f"{name} is being made of this person's feedback. Wait for the run to end, or cancel it; then go on."
            )


def scrub(store: ArtifactStore, artifact_id: str, person: str) -> dict[str, str | None]:
    """Take the person out of one artifact, and let nothing point to it as its asset's current one.

    Returns:
        The files that are gone (None) or new (their sha256).
    """
    artifact = store.find(artifact_id)
    if artifact is None:
        return {}
    store.forget_current(artifact_id)
    changes: dict[str, str | None] = {}
    with store.lock(artifact_id):
        for path in _texts(store, artifact):
            path.unlink()
            changes[path.relative_to(artifact.path).as_posix()] = None
        for path in (artifact.path / name for name in _RECORDS):
            if path.is_file() and _count(path, person):
                _without(path, person)
                changes[path.name] = file_digest(path)
    sync(artifact.path)
    return changes


def remove_leftovers(store: ArtifactStore) -> None:
    """Remove what killed processes left, which may hold texts of anybody: half-written folders and checkpoints."""
    checkpoints = store.data.root / "checkpoints"
    begun = {path: path.name for path in checkpoints.iterdir()} if checkpoints.is_dir() else {}
    for path, artifact_id in (begun | {removal.path: removal.id for removal in rubbish(store)}).items():
        with suppress(Timeout), store.lock(artifact_id, timeout=0):
            store.forget_making(artifact_id)
            shutil.rmtree(path)


def _holds(artifact: Artifact, person: str) -> bool:
    records = [artifact.path / name for name in _RECORDS if (artifact.path / name).is_file()]
    if artifact.manifest.asset in (*DATASETS, "preference_pairs") and not any(map(_names_people, records)):
        return (artifact.path / "train.parquet").is_file()
    return any(_count(path, person) for path in records)


def _taint(datasets: list[Artifact], person: str) -> Taint:
    items = of = 0
    for path in (dataset.path / "sources.parquet" for dataset in datasets):
        if path.is_file() and _names_people(path):
            mine, everybody = _query("count_items_of_person", {"file": str(path), "person": person})[0]
            items, of = items + mine, of + everybody
    return Taint(items=items, of=of)


def _texts(store: ArtifactStore, artifact: Artifact) -> Iterator[Path]:
    kind = store.data.artifacts(artifact.manifest.asset).name
    for path in sorted(artifact.path.rglob("*")):
        if path.is_file() and (
            path.name in _MODEL_TEXTS if kind != "datasets" else path.name not in (*_RECORDS, MANIFEST_NAME)
        ):
            yield path


def _names_people(path: Path) -> bool:
    """The first versions recorded no people."""
    return "person" in pq.read_schema(path).names


def _count(path: Path, person: str) -> int:
    if not _names_people(path):
        return 0
    return _query("count_rows_of_person", {"file": str(path), "person": person})[0][0]


def _without(path: Path, person: str) -> None:
    """Write a file anew without the person's rows."""
    with in_memory() as connection, staged(path) as temporary:
        rows = connection.sql(lineage_sql("select_rows_without_person"), params={"file": str(path), "person": person})
        pq.write_table(rows.to_arrow_table(), temporary, compression="zstd")


def _query(statement: str, parameters: Mapping[str, str]) -> list[tuple[int, ...]]:
    with in_memory() as connection:
        return connection.execute(lineage_sql(statement), parameters).fetchall()
