"""From upstream artifacts to a model artifact: the plan of a stage, its spec, its process, its result.

Light on purpose: the orchestrator imports this, so nothing here imports PyTorch.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from galileu_pipeline.errors import MissingArtifactError, StageError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Made, Outcome, Plan
from galileu_pipeline.lineage.manifest import RunInfo
from galileu_pipeline.training.model_card import model_card
from galileu_pipeline.training.settings import (
    ERROR_NAME,
    RESULT_NAME,
    SPEC_NAME,
    LoraSettings,
    Resources,
    SampleSettings,
    Settings,
    StageName,
    StageResult,
    StageSpec,
)

# Runs `python -m galileu_pipeline.training STAGE --spec FILE` somewhere, until it ends.
Launch = Callable[[list[str]], None]


@dataclass(frozen=True)
class Stage:
    """One training stage as a profile configures it."""

    name: StageName
    asset: str
    settings: Settings
    resources: Resources
    lora: LoraSettings
    samples: SampleSettings
    seed: int
    profile: str

    def plan(self, inputs: Mapping[str, Artifact]) -> Plan:
        """What decides the result. The number of threads and the like do not, so they are left out."""
        config: dict[str, Any] = {"profile": self.profile, "stage": self.settings.model_dump(mode="json")}
        if self.name != "base":
            config |= {
                "lora": self.lora.model_dump(mode="json"),
                "samples": self.samples.model_dump(mode="json"),
                "precision": self.resources.precision,
                "quantization": self.resources.quantization,
            }
        return Plan(self.asset, list(inputs.values()), config, self.seed)

    def spec(self, inputs: Mapping[str, Artifact], output: Path) -> StageSpec:
        """What the stage's process is told."""
        paths = {name: artifact.path for name, artifact in inputs.items()}
        return StageSpec(
            stage=self.name,
            output=output,
            seed=self.seed,
            settings=self.settings.model_dump(mode="json"),
            resources=self.resources,
            lora=self.lora,
            samples=self.samples,
            base=paths.get("base_model", Path()),
            base_id=inputs["base_model"].id if "base_model" in inputs else "",
            adapter=paths.get("sft_model"),
            dataset=next((path for name, path in paths.items() if name.endswith("_dataset")), Path()),
        )


def make_model(
    store: ArtifactStore,
    stage: Stage,
    inputs: Mapping[str, Artifact],
    launch: Launch,
    *,
    run: RunInfo | None = None,
    force: bool = False,
) -> Made:
    """Train `stage` on `inputs` (by asset name) and publish the model, or reuse the one made from the same.

    Raises:
        StageError: the process ended without a result.
        MissingArtifactError: the SFT model is one of another base.
    """
    _require_same_base(inputs)
    plan = stage.plan(inputs)

    def write(staging: Path) -> Outcome:
        result = _run_process(stage.spec(inputs, staging), launch)
        (staging / "README.md").write_text(model_card(plan, result.metrics), encoding="utf-8")
        return Outcome(metrics=result.metrics, environment=result.environment)

    return store.make(plan, write, run=run, force=force)


def _run_process(spec: StageSpec, launch: Launch) -> StageResult:
    with TemporaryDirectory(prefix="galileu-stage-") as folder:
        work = Path(folder)
        (work / SPEC_NAME).write_text(spec.model_dump_json(indent=2), encoding="utf-8")
        command = [sys.executable, "-m", "galileu_pipeline.training", spec.stage, "--spec", str(work / SPEC_NAME)]
        try:
            launch(command)
        except Exception as error:
            if (work / ERROR_NAME).is_file():
                raise StageError((work / ERROR_NAME).read_text(encoding="utf-8")) from error
            raise
        if not (work / RESULT_NAME).is_file():
            raise StageError(f"The process of stage {spec.stage} ended without a result. Its output says why.")
        return StageResult.model_validate_json((work / RESULT_NAME).read_text(encoding="utf-8"))


def _require_same_base(inputs: Mapping[str, Artifact]) -> None:
    if "sft_model" not in inputs:
        return
    sft, base = inputs["sft_model"], inputs["base_model"]
    trained_on = next(ref for ref in sft.manifest.inputs if ref.asset == "base_model")
    if trained_on.digest != base.manifest.digest:
        raise MissingArtifactError(
            f"{sft.id} was trained on {trained_on.id}, but the current base is {base.id}. "
            "Materialize sft_model again: dagster asset materialize --select sft_model."
        )
