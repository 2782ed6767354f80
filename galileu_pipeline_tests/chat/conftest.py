"""What the tests of the chat's parts share."""

from types import SimpleNamespace
from typing import Any

from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan

HERE: Any = SimpleNamespace(headers={}, client=None)
"""A request as Gradio hands it on."""


def make_model(store: ArtifactStore, asset: str) -> Artifact:
    """The current one of the asset; it holds nothing."""
    made = store.make(Plan(asset, [], {"profile": "tiny"}), lambda folder: Outcome())
    store.set_current(made.artifact)
    return made.artifact
