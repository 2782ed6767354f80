"""Results as Dagster metadata: what a person sees on an asset's page."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from galileu_pipeline.evaluation.curves import plot_curves, read_log
from galileu_pipeline.lineage.artifacts import Artifact, Made
from galileu_pipeline.lineage.digests import code_digest
from galileu_pipeline.markdown import escape, table

_SAMPLE_CHARS = 400

Metadata = dict[str, Any]


def result(made: Made, extra: Mapping[str, Any] | None = None) -> dg.MaterializeResult[Artifact]:
    """The materialization of an artifact: where it lies, whether it is new, and its manifest."""
    artifact = made.artifact
    metadata: Metadata = {
        "artifact": artifact.id,
        "reused": made.reused,
        "path": dg.MetadataValue.path(artifact.path),
        "digest": artifact.manifest.digest,
        **(extra or {}),
        "manifest": dg.MetadataValue.json(artifact.manifest.model_dump(mode="json", by_alias=True)),
    }
    if made.reused:
        metadata["note"] = _reuse_note(artifact)
    return dg.MaterializeResult(
        value=artifact, metadata=metadata, data_version=dg.DataVersion(artifact.manifest.digest)
    )


def model_metadata(artifact: Artifact) -> Metadata:
    """Curves, held-out figures and samples of a trained model."""
    metrics = artifact.manifest.metrics
    metadata: Metadata = {
        "curves": picture(plot_curves(read_log(artifact.path / "training_log.jsonl"), artifact.id)),
        "held-out metrics": dg.MetadataValue.md(metrics_table(metrics)),
        "train_loss": metrics["train_loss"],
    }
    if own := metrics.get("preference_accuracy", {}).get(artifact.manifest.asset):
        metadata["preference_accuracy"] = own["value"]
    samples = json.loads((artifact.path / "samples.json").read_text(encoding="utf-8"))
    if samples:
        rows = ([escape(sample[name], _SAMPLE_CHARS) for name in ("prompt", "before", "after")] for sample in samples)
        metadata["samples"] = dg.MetadataValue.md(table(("question", "before training", "after training"), rows))
    return metadata


def metrics_table(metrics: Mapping[str, Any]) -> str:
    """Every metric, a row each; a proportion with its 95 % interval and number of pairs."""
    return table(("metric", "value"), ((name, text) for name, text in _flatten(metrics)))


def picture(png: bytes) -> dg.MarkdownMetadataValue:
    """A PNG inside the page itself: nothing is served from elsewhere."""
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(png).decode()})")


def _flatten(metrics: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in metrics.items():
        if isinstance(value, Mapping) and "low" in value:
            interval = f"{value['value']:.3f} (95 %: {value['low']:.3f} to {value['high']:.3f}, n = {value['n']})"
            yield prefix + name, interval
        elif isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}: ")
        else:
            yield prefix + name, f"{value:.4g}" if isinstance(value, float) else str(value)


def _reuse_note(artifact: Artifact) -> str:
    note = "Nothing changed since this was made, so it was reused. Set `force: true` in the run config to make it anew."
    if artifact.manifest.code.digest != code_digest():
        note += " The code has changed since."
    return note
