"""A store in which something is not as it should be."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import MissingArtifactError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline.lineage.verification import verify

CONTENT = bytes(range(256)) * 4


def make(store: ArtifactStore, asset: str, *inputs: Artifact, text: str = "x") -> Artifact:
    def write(folder: Path) -> Outcome:
        (folder / "adapter_model.safetensors").write_bytes(CONTENT)
        (folder / "README.md").write_text(text)
        return Outcome(metrics={"loss": 0.1 + 0.2, "pairs": 3})

    return store.make(Plan(asset, inputs, {"text": text}, seed=1), write).artifact


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(tmp_path), "tiny")


@pytest.fixture
def chain(store: ArtifactStore) -> list[Artifact]:
    """Pairs, a dataset of them, a model of that."""
    pairs = make(store, "preference_pairs")
    dataset = make(store, "dpo_dataset", pairs)
    return [pairs, dataset, make(store, "dpo_model", dataset)]


def found(store: ArtifactStore, artifact_id: str | None = None) -> list[tuple[str, str]]:
    return [(fault.artifact, fault.kind) for fault in verify(store, artifact_id)]


def test_all_is_well(store: ArtifactStore, chain: list[Artifact]) -> None:
    assert verify(store) == []
    assert verify(store, chain[-1].id) == []


def test_files_missing_changed_and_foreign(store: ArtifactStore, chain: list[Artifact]) -> None:
    folder = chain[-1].path
    (folder / "README.md").write_text("y")
    (folder / "adapter_model.safetensors").unlink()
    (folder / "added").write_text("")
    assert [(fault.kind, fault.subject) for fault in verify(store)] == [
        ("changed file", "README.md"),
        ("missing file", "adapter_model.safetensors"),
        ("foreign file", "added"),
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(place=st.integers(0, len(CONTENT) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_in_any_place(store: ArtifactStore, place: int, bit: int) -> None:
    model = make(store, "dpo_model")
    spoilt = bytearray(CONTENT)
    spoilt[place] ^= 1 << bit
    (model.path / "adapter_model.safetensors").write_bytes(spoilt)
    assert found(store) == [(model.id, "changed file")]
    (model.path / "adapter_model.safetensors").write_bytes(CONTENT)
    assert found(store) == []


def test_a_fault_upstream_is_one_of_the_model_too(store: ArtifactStore, chain: list[Artifact]) -> None:
    pairs, dataset, model = chain
    (pairs.path / "README.md").write_text("y")
    assert found(store, model.id) == [(pairs.id, "changed file")]
    assert found(store, dataset.id) == [(pairs.id, "changed file")]


def test_a_swapped_dataset(store: ArtifactStore, chain: list[Artifact]) -> None:
    pairs, dataset, model = chain
    other = make(store, "dpo_dataset", pairs, text="other")
    shutil.rmtree(dataset.path)
    shutil.copytree(other.path, dataset.path)
    assert (dataset.id, "misplaced folder") in found(store, model.id)
    assert (model.id, "changed input") in found(store, model.id)


def test_a_missing_parent(store: ArtifactStore, chain: list[Artifact]) -> None:
    shutil.rmtree(chain[1].path)
    assert found(store, chain[-1].id) == [(chain[-1].id, "missing input")]


EDITS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "metrics": lambda manifest: manifest["metrics"].update(loss=0.01),
    "seed": lambda manifest: manifest.update(seed=2),
    "config": lambda manifest: manifest["config"].update(text="z"),
    "created_at": lambda manifest: manifest.update(created_at="2020-01-01T00:00:00Z"),
    "inputs": lambda manifest: manifest["inputs"].clear(),
    "files": lambda manifest: manifest["files"].pop("README.md"),
    "code": lambda manifest: manifest["code"].update(digest="0" * 64),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_manifest(store: ArtifactStore, chain: list[Artifact], edit: Callable[[dict[str, Any]], Any]) -> None:
    path = chain[-1].path / "manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))
    assert (chain[-1].id, "edited manifest") in found(store)


def test_one_sealed_anew_shows_in_its_id(store: ArtifactStore, chain: list[Artifact]) -> None:
    model = chain[-1]
    forged = model.manifest.model_copy(update={"seed": 2}).sealed()
    (model.path / "manifest.json").write_text(forged.model_dump_json(by_alias=True))
    assert found(store) == [(model.id, "edited manifest")]


def test_a_manifest_that_is_none(store: ArtifactStore, chain: list[Artifact]) -> None:
    (chain[1].path / "manifest.json").write_text("{")
    assert found(store) == [(chain[1].id, "unreadable manifest"), (chain[2].id, "changed input")]


def test_what_a_killed_process_left_is_no_fault(store: ArtifactStore, chain: list[Artifact]) -> None:
    (store.data.root / "models" / "dpo_model-000000000000").mkdir()
    assert verify(store) == []


def test_a_champion_that_is_gone(store: ArtifactStore, chain: list[Artifact]) -> None:
    ChampionFile(store).promote(chain[-1].id, by="person", in_place_of=None)
    shutil.rmtree(chain[-1].path)
    assert found(store) == [(chain[-1].id, "missing champion")]


def test_an_unknown_id(store: ArtifactStore) -> None:
    with pytest.raises(MissingArtifactError):
        verify(store, "dpo_model-000000000000")
