"""The table of held-out accuracies, with what was measured and without what was not."""

from pathlib import Path

import pytest

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.lineage.artifacts import ArtifactStore
from galileu_pipeline.summaries import held_out_results
from galileu_pipeline_tests.lineage.making import make

GAIN = {"value": 0.4, "low": 0.2, "high": 0.6, "n": 58}


def accuracies(**values: float) -> dict[str, object]:
    figures = {name: {"value": value, "low": 0.1, "high": 0.9, "n": 70} for name, value in values.items()}
    return {"preference_accuracy": figures}


def make_current(store: ArtifactStore, asset: str, **metrics: object) -> None:
    store.set_current(make(store, asset, profile="tiny", metrics=metrics))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(DataFolder(tmp_path), "tiny")
    make_current(store, "sft_model", eval_loss=2.0)
    make_current(store, "ppo_model", **accuracies(ppo_model=0.6), held_out_reward={"gain": GAIN})
    return store


def test_of_ppo_without_dpo_only_its_own_accuracy_is_known(store: ArtifactStore) -> None:
    (row,) = held_out_results(store)
    assert (row.asset, row.accuracy.value, row.base_accuracy) == ("ppo_model", 0.6, None)
    assert row.reward_gain is not None
    assert row.reward_gain.value == 0.4


def test_dpo_tells_of_the_sft_model_and_the_base_too(store: ArtifactStore) -> None:
    make_current(store, "dpo_model", **accuracies(base_model=0.4, sft_model=0.5, dpo_model=0.7))
    rows = {row.asset: row for row in held_out_results(store)}
    assert {asset: row.accuracy.value for asset, row in rows.items()} == {
        "sft_model": 0.5,
        "dpo_model": 0.7,
        "ppo_model": 0.6,
    }
    assert {row.base_accuracy.value for row in rows.values() if row.base_accuracy} == {0.4}
