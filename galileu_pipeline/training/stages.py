"""From upstream artifacts to a model artifact: the plan of a stage, its spec, its process, its result.

Light on purpose: the orchestrator imports this, so nothing here imports PyTorch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galileu_pipeline.disk import require_space
from galileu_pipeline.errors import MissingArtifactError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Made, Outcome, Plan
from galileu_pipeline.lineage.manifest import RunInfo
from galileu_pipeline.process import Launch, run_process
from galileu_pipeline.training.model_card import model_card
from galileu_pipeline.training.settings import (
    LoraSettings,
    MicroBatch,
    Resources,
    SampleSettings,
    Settings,
    StageName,
    StageResult,
    StageSpec,
)


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

    def spec(
        self,
        inputs: Mapping[str, Artifact],
        output: Path,
        checkpoints: Path,
        micro_batch: MicroBatch | None = None,
    ) -> StageSpec:
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
            reward=paths.get("reward_model"),
            dataset=next((path for name, path in paths.items() if name.endswith("_dataset")), Path()),
            more_questions=paths.get("sft_dataset") if self.name == "ppo" else None,
            checkpoints=checkpoints,
            micro_batch=micro_batch,
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

    A run that was killed leaves checkpoints, from which the next one with the same plan and code goes on.

    Raises:
        StageError: the process ended without a result.
        MissingArtifactError: the SFT model or the reward model is one of another base, or an adapter of another shape.
    """
    _require_same_base(inputs)
    _require_same_shape(stage, inputs)
    plan = stage.plan(inputs)
    scratch = store.data.checkpoints(plan.id)

    def write(staging: Path) -> Outcome:
        earlier = store.find(plan.id)
        known = micro_batch_of(earlier) if earlier else None
        result = write_model(stage, plan, inputs, staging, scratch, launch, micro_batch=known)
        return Outcome(metrics=result.metrics, environment=result.environment, resumed_from=result.resumed_from)

    return store.make(plan, write, run=run, force=force, scratch=scratch)


def write_model(
    stage: Stage,
    plan: Plan,
    inputs: Mapping[str, Artifact],
    output: Path,
    checkpoints: Path,
    launch: Launch,
    *,
    micro_batch: MicroBatch | None = None,
) -> StageResult:
    """Train `stage` on `inputs` in a process of its own, and leave all the files of what `plan` says in `output`.

    Raises:
        StorageError: there is not so much free disk as the stage's resources ask for.
    """
    require_space(output, stage.resources.disk_gb)
    spec = stage.spec(inputs, output, checkpoints, micro_batch)
    result = run_process(["galileu_pipeline.training", stage.name], spec, StageResult, launch)
    (output / "README.md").write_text(model_card(plan, result.metrics), encoding="utf-8")
    return result


def micro_batch_of(model: Artifact) -> MicroBatch | None:
    """What its training came down to where the settings asked for more than the memory held."""
    recorded = model.manifest.environment.get("micro_batch")
    return MicroBatch.model_validate(recorded) if recorded else None


def _require_same_base(inputs: Mapping[str, Artifact]) -> None:
    for asset in ("sft_model", "reward_model"):
        if asset not in inputs:
            continue
        model, base = inputs[asset], inputs["base_model"]
        trained_on = next(ref for ref in model.manifest.inputs if ref.asset == "base_model")
        if trained_on.digest != base.manifest.digest:
            raise MissingArtifactError(
                f"{model.id} was trained on {trained_on.id}, but the current base is {base.id}. "
                f"Materialize {asset} again: dagster asset materialize --select {asset}."
            )


def _require_same_shape(stage: Stage, inputs: Mapping[str, Artifact]) -> None:
    """An adapter that is trained on keeps its shape and scale, so the settings must say the same."""
    for asset in ("sft_model", "reward_model"):
        if asset not in inputs or "lora" not in inputs[asset].manifest.config:
            continue
        trained = LoraSettings.model_validate(inputs[asset].manifest.config["lora"])
        differing = [
            f"{name} is {getattr(trained, name)}, not {getattr(stage.lora, name)}"
            for name in ("r", "alpha", "target_modules")
            if getattr(trained, name) != getattr(stage.lora, name)
        ]
        if differing:
            raise MissingArtifactError(
                f"{inputs[asset].id} is an adapter of another shape than profile {stage.profile} says now: "
                f"{'; '.join(differing)}. Materialize {asset} again: dagster asset materialize --select {asset}."
            )
