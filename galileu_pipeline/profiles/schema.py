"""A profile: one YAML with everything that differs between a laptop and a cluster."""

import os
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from pydantic import Field, ValidationError

from galileu_pipeline.errors import SettingsError
from galileu_pipeline.feedback.datasets import DatasetSettings
from galileu_pipeline.feedback.pairing import PairingSettings
from galileu_pipeline.training.settings import (
    BaseSettings,
    DpoSettings,
    LoraSettings,
    Resources,
    RewardSettings,
    SampleSettings,
    Settings,
    SftSettings,
)
from galileu_pipeline.training.stages import Stage, StageName

DEFAULT_PROFILE = "cpu"


class Profile(Settings):
    """All settings, as `profiles/<name>.yaml` gives them."""

    name: str
    description: str
    seed: int = 0
    repair_text: bool = Field(
        True, description="undo encoding damage in rows read from now on, and merge the wordings of a question"
    )
    pairing: PairingSettings = PairingSettings()
    datasets: DatasetSettings
    base: BaseSettings
    lora: LoraSettings = LoraSettings()
    samples: SampleSettings = SampleSettings()
    sft: SftSettings
    reward: RewardSettings
    dpo: DpoSettings
    resources: dict[str, Resources] = Field(description="by model asset")

    def stage(self, name: StageName, overrides: Mapping[str, Any]) -> Stage:
        """The training stage of that name, with `overrides` over the profile's settings.

        Raises:
            SettingsError: an override is not a setting of the stage, or out of range.
        """
        settings: Settings = getattr(self, name)
        try:
            settings = type(settings).model_validate({**settings.model_dump(), **overrides})
        except ValidationError as error:
            raise SettingsError(f"overrides of stage {name}: {describe(error)}") from error
        asset = f"{name}_model"
        return Stage(
            name=name,
            asset=asset,
            settings=settings,
            resources=self.resources.get(asset, Resources()),
            lora=self.lora,
            samples=self.samples,
            seed=self.seed,
            profile=self.name,
        )


def profile_names() -> list[str]:
    return sorted(path.name.removesuffix(".yaml") for path in _folder().iterdir() if path.name.endswith(".yaml"))


def active_profile_name() -> str:
    """`GALILEU_PROFILE`, or the default."""
    return os.environ.get("GALILEU_PROFILE") or DEFAULT_PROFILE


def load_profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        SettingsError: there is no such profile, or a field of it is wrong.
    """
    if name not in profile_names():
        raise SettingsError(
            f"There is no profile {name!r}. GALILEU_PROFILE takes one of: {', '.join(profile_names())}."
        )
    content = yaml.safe_load((_folder() / f"{name}.yaml").read_text(encoding="utf-8"))
    try:
        return Profile.model_validate({"name": name, **content})
    except ValidationError as error:
        raise SettingsError(f"profiles/{name}.yaml: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """A validation error in one line: each field and what is wrong with it."""
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in error.errors())


def _folder() -> Traversable:
    return files("galileu_pipeline.profiles")
