"""Artifacts for tests: small, but made by the store, with their sources in real Parquet."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan

Row = tuple[str, str, str | None, str]
_COLUMNS = ("item_id", "feedback_id", "person", "role")


def make(store: ArtifactStore, asset: str, *inputs: Artifact, **config: Any) -> Artifact:
    """An artifact of one file. Its metrics are the config `metrics`, if there is one."""
    plan = Plan(asset, inputs, config, seed=config.get("seed", 0))

    def write(folder: Path) -> Outcome:
        (folder / "README.md").write_text(plan.id)
        return Outcome(metrics=config.get("metrics", {}), environment=config.get("environment", {}))

    return store.make(plan, write).artifact


def make_dataset(
    store: ArtifactStore, asset: str, rows: Iterable[Row], *inputs: Artifact, test: Iterable[str] = (), **config: Any
) -> Artifact:
    """A dataset with these sources. Items in `test` are held out, all others trained on."""
    rows, test = list(rows), set(test)
    plan = Plan(asset, inputs, {"rows": [list(row) for row in rows], **config})

    def write(folder: Path) -> Outcome:
        write_sources(folder / "sources.parquet", rows)
        items = {row[0] for row in rows}
        key = "example_id" if asset == "sft_dataset" else "pair_id"
        for split, members in (("train", items - test), ("test", items & test)):
            pq.write_table(pa.table({key: pa.array(sorted(members), pa.string())}), folder / f"{split}.parquet")
        return Outcome()

    return store.make(plan, write).artifact


def write_sources(path: Path, rows: Iterable[Row]) -> None:
    columns = list(zip(*rows, strict=True)) or [()] * len(_COLUMNS)
    arrays = {name: pa.array(list(column), pa.string()) for name, column in zip(_COLUMNS, columns, strict=True)}
    pq.write_table(pa.table(arrays), path)


def person(number: int) -> str:
    return f"person-{number:024x}"
