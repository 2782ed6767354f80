"""A data folder after one round: pairs and examples, three models on them, a decision."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline_tests.lineage.making import make, make_dataset, person

PAIRS = [
    ("p1", "f1", person(1), "chosen"),
    ("p1", "f2", person(2), "rejected"),
    ("p2", "f3", person(1), "choice"),
    ("p2", "f1", person(1), "context"),
    ("p3", "f4", None, "chosen"),
]
EXAMPLES = [("e1", "f1", person(1), "answer"), ("e2", "f5", person(3), "answer")]


@dataclass(frozen=True)
class Round:
    """What one round of training left."""

    base: Artifact
    feedback: Artifact
    pairs: Artifact
    dpo_dataset: Artifact
    sft_dataset: Artifact
    sft: Artifact
    dpo: Artifact
    evaluation: Artifact
    decision: Artifact


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(tmp_path / "data"), "tiny")


@pytest.fixture
def trained(store: ArtifactStore) -> Round:
    """Behind `dpo`: five rows of feedback, four by three people and one by nobody known."""
    base, feedback = make(store, "base_model", profile="tiny"), make(store, "raw_feedback")
    pairs = make(store, "preference_pairs", feedback)
    dpo_dataset = make_dataset(store, "dpo_dataset", PAIRS, pairs, test=["p3"])
    sft_dataset = make_dataset(store, "sft_dataset", EXAMPLES, feedback)
    sft = make(store, "sft_model", base, sft_dataset)
    dpo = make(store, "dpo_model", base, sft, dpo_dataset)
    evaluation = make(store, "model_evaluation", base, sft, dpo)
    decided = {"outcome": "promoted", "chosen": dpo.id}
    decision = make(store, "promotion_decision", evaluation, metrics=decided)
    return Round(base, feedback, pairs, dpo_dataset, sft_dataset, sft, dpo, evaluation, decision)
