"""Making a model again from its manifest alone, to see that the record is the truth."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, computed_field

from galileu_pipeline.errors import InputError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.digests import code_digest, files_digest, folder_digests
from galileu_pipeline.process import Launch
from galileu_pipeline.profiles.schema import Profile
from galileu_pipeline.training.settings import LoraSettings, Resources, SampleSettings, Settings, stage_of_asset
from galileu_pipeline.training.stages import Stage, micro_batch_of, write_model


class Reproduction(BaseModel):
    """What came of it. `differing` are the files that are not the same; `same_code` tells whether they could be."""

    model_config = ConfigDict(frozen=True)

    id: str
    digest: str
    differing: list[str]
    same_code: bool

    @computed_field  # type: ignore[prop-decorator]
    @property
    def same(self) -> bool:
        return not self.differing


def reproduce(store: ArtifactStore, model: Artifact, launch: Launch) -> Reproduction:
    """Run the stage of `model` again on the inputs, settings and seed of its manifest, in a folder that is thrown away.

    Raises:
        InputError: it is no model.
        MissingArtifactError: an input is gone.
    """
    manifest = model.manifest
    inputs = {ref.asset: store.load(ref.id) for ref in manifest.inputs}
    stage = stage_of(model)
    plan = replace(stage.plan(inputs), made_by=manifest.stage_version)
    with TemporaryDirectory(prefix="galileu-reproduce-") as folder:
        output, checkpoints = Path(folder) / "output", Path(folder) / "checkpoints"
        output.mkdir()
        write_model(stage, plan, inputs, output, checkpoints, launch, micro_batch=micro_batch_of(model))
        files = folder_digests(output)
    names = sorted(files.keys() | manifest.files.keys())
    return Reproduction(
        id=model.id,
        digest=files_digest(files),
        differing=[name for name in names if files.get(name) != manifest.files.get(name)],
        same_code=manifest.code.digest == code_digest(),
    )


def stage_of(model: Artifact) -> Stage:
    """The stage that made `model`, as its manifest records it.

    Raises:
        InputError: it is no model, or one that this version cannot make.
    """
    manifest, config = model.manifest, model.manifest.config
    name = stage_of_asset(manifest.asset)
    if name not in Profile.model_fields or "stage" not in config:
        raise InputError(f"{model.id} was not made by a training stage, so it cannot be reproduced.")
    settings_type: Any = Profile.model_fields[name].annotation
    settings: Settings = TypeAdapter(settings_type).validate_python(config["stage"])
    return Stage(
        name=name,  # type: ignore[arg-type]
        asset=manifest.asset,
        settings=settings,
        resources=Resources(
            # Sums over another number of threads are other sums, on some processors from the first step on.
            cpus=manifest.environment.get("threads", Resources().cpus),
            precision=config.get("precision", "fp32"),
            quantization=config.get("quantization", "none"),
            gpus=0 if manifest.environment.get("devices", ["cpu"]) == ["cpu"] else 1,
        ),
        lora=LoraSettings.model_validate(config.get("lora", {})),
        samples=SampleSettings.model_validate(config.get("samples", {})),
        seed=manifest.seed or 0,
        profile=config["profile"],
    )
