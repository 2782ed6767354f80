"""What differs between two checkpoints."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from galileu_pipeline.cli import app, console
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.difference import Change, Difference, changes, difference, flatten
from galileu_pipeline_tests.lineage.conftest import EXAMPLES, PAIRS, Round
from galileu_pipeline_tests.lineage.making import make, make_dataset, person

ACCURACY = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 72}


def between(store: ArtifactStore, one: Artifact, other: Artifact) -> Difference:
    return difference((store, one), (store, other))


def test_nothing_differs_from_itself(store: ArtifactStore, trained: Round) -> None:
    found = between(store, trained.dpo, trained.dpo)
    assert (found.feedback_added.rows, found.feedback_removed.rows) == (0, 0)
    assert not any((found.inputs, found.settings, found.code, found.packages, found.metrics, found.unrecorded))


def test_rows_added_and_removed(store: ArtifactStore, trained: Round) -> None:
    """f2 goes; f6, f7 and f8 come; f5 stays, though it moves from the examples to the pairs."""
    rows = [row for row in PAIRS if row[1] != "f2"] + [("p4", "f5", person(3), "chosen")]
    new_rows = [("p5", "f6", person(3), "chosen"), ("p5", "f7", person(3), "rejected"), ("p6", "f8", None, "choice")]
    dataset = make_dataset(store, "dpo_dataset", [*rows, *new_rows], trained.pairs)
    examples = make_dataset(store, "sft_dataset", EXAMPLES[:1], trained.feedback)
    sft = make(store, "sft_model", trained.base, examples)
    found = between(store, trained.dpo, make(store, "dpo_model", trained.base, sft, dataset))
    assert found.feedback_added.ids == ["f6", "f7", "f8"]
    assert [(one.person, one.rows) for one in found.feedback_added.by_person] == [(person(3), 2), (None, 1)]
    assert (found.feedback_removed.rows, found.feedback_removed.ids) == (1, ["f2"])
    assert [change.name for change in found.inputs] == ["dpo_dataset", "sft_model"]


def test_against_a_model_without_feedback(store: ArtifactStore, trained: Round) -> None:
    assert between(store, trained.base, trained.dpo).feedback_added.rows == 5
    assert between(store, trained.dpo, trained.base).feedback_removed.ids == ["f1", "f2", "f3", "f4", "f5"]
    assert between(store, trained.base, make(store, "base_model", seed=1)).feedback_added.rows == 0


def test_settings_metrics_and_packages(store: ArtifactStore) -> None:
    one = make(
        store,
        "dpo_model",
        stage={"beta": 0.1, "epochs": 1},
        metrics={"loss": 0.5, "accuracy": {"dpo_model": ACCURACY}},
        environment={"trl": "1.16.0", "threads": 2},
    )
    better = {**ACCURACY, "value": 0.55}
    other = make(
        store,
        "dpo_model",
        seed=1,
        stage={"beta": 0.3, "epochs": 1, "label_smoothing": 0.1},
        metrics={"loss": 0.4, "accuracy": {"dpo_model": better}},
        environment={"trl": "1.17.0", "threads": 8},
    )
    found = between(store, one, other)
    settings = {change.name: (change.old, change.new) for change in found.settings}
    assert settings["stage.beta"] == (0.1, 0.3)
    assert settings["stage.label_smoothing"] == (None, 0.1)
    assert settings["seed"] == (0, 1)
    assert "stage.epochs" not in settings
    assert found.packages == [Change(name="trl", old="1.16.0", new="1.17.0")]
    assert found.metrics == [
        Change(name="accuracy.dpo_model", old=ACCURACY, new=better),
        Change(name="loss", old=0.5, new=0.4),
    ]
    assert found.code == []


def test_a_checkpoint_and_its_copy_in_another_folder(store: ArtifactStore, trained: Round, tmp_path: Path) -> None:
    shutil.copytree(store.data.root, tmp_path / "other")
    other = ArtifactStore(DataFolder(tmp_path / "other"), "tiny")
    found = difference((store, trained.dpo), (other, other.load(trained.dpo.id)))
    assert (found.feedback_added.rows, found.feedback_removed.rows, found.inputs) == (0, 0, [])


def test_what_cannot_be_compared_is_named(store: ArtifactStore, trained: Round) -> None:
    shutil.rmtree(trained.dpo_dataset.path)
    unrecorded = make(store, "sft_dataset")
    found = between(store, trained.dpo, make(store, "sft_model", trained.base, unrecorded))
    assert found.unrecorded == sorted([trained.dpo_dataset.id, unrecorded.id])


def test_on_the_command_line(store: ArtifactStore, trained: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALILEU_DATA_DIR", str(store.data.root))
    monkeypatch.setattr(console.out, "width", 200)
    rows = [*PAIRS, ("p9", "f9", "[red]somebody", "chosen")]
    settings = {"name": "[bold]<i>", "metrics": {"accuracy": ACCURACY}}
    other = make(store, "dpo_model", make_dataset(store, "dpo_dataset", rows), **settings)
    shown = CliRunner().invoke(app, ["diff", trained.dpo.id, other.id]).stdout
    assert "[red]somebody" in shown
    assert "[bold]<i>" in shown
    assert "0.500 [0.400, 0.600]" in shown
    assert "The same in both: code, packages." in shown
    found = json.loads(CliRunner().invoke(app, ["diff", trained.dpo.id, other.id, "--json"]).stdout)
    assert found["feedback_added"]["ids"] == ["f9"]
    assert found["feedback_removed"]["ids"] == ["f5"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text("ab", min_size=1, max_size=2), inner, max_size=3),
)
MAPPINGS = st.dictionaries(st.text("ab", min_size=1, max_size=2), VALUES, max_size=3)


@given(old=MAPPINGS, new=MAPPINGS)
def test_changes_turn_the_old_values_into_the_new(old: dict[str, object], new: dict[str, object]) -> None:
    flat = dict(flatten(old))
    flat.update({change.name: change.new for change in changes(old, new)})

    def told(values: dict[str, object]) -> dict[str, object]:
        return {name: value for name, value in values.items() if value is not None}  # None stands for nothing there

    assert told(flat) == told(dict(flatten(new)))
