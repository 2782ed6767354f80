"""A profile: one YAML with everything that differs between a laptop and a cluster."""

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import Field, ValidationError

from galileu_pipeline.errors import SettingsError
from galileu_pipeline.evaluation.settings import EvaluationSettings, PromotionSettings
from galileu_pipeline.feedback.pairing.datasets import DatasetSettings
from galileu_pipeline.feedback.pairing.pairs import PairingSettings
from galileu_pipeline.profiles.automation import AutomationSettings, KubernetesSettings
from galileu_pipeline.profiles.names import profile_file
from galileu_pipeline.training.settings import (
    CONTROL,
    BaseSettings,
    DpoSettings,
    LoraSettings,
    PpoSettings,
    Resources,
    RewardSettings,
    SampleSettings,
    Settings,
    SftSettings,
)
from galileu_pipeline.training.stages import Stage, StageName


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
    ppo: PpoSettings
    evaluation: EvaluationSettings = EvaluationSettings()
    promotion: PromotionSettings = PromotionSettings()
    automation: AutomationSettings = AutomationSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    resources: dict[str, Resources] = Field(description="by model asset")
    patience_s: float = Field(
        3600.0, gt=0, description="seconds without progress after which a process of training counts as hung"
    )

    def stage(self, name: StageName, overrides: Mapping[str, Any], *, control: bool = False) -> Stage:
        """The training stage of that name, with `overrides` over the profile's settings.

        Args:
            control: the same with another seed, which makes an asset of its own.

        Raises:
            SettingsError: an override is not a setting of the stage, or out of range.
        """
        settings: Settings = getattr(self, name)
        try:
            settings = type(settings).model_validate({**settings.model_dump(), **overrides})
        except ValidationError as error:
            raise SettingsError(f"overrides of stage {name}: {describe(error)}") from error
        asset = f"{CONTROL if control else ''}{name}_model"
        return Stage(
            name=name,
            asset=asset,
            settings=settings,
            resources=self.resources_of(asset),
            lora=self.lora,
            samples=self.samples,
            seed=self.seed + control,
            profile=self.name,
        )

    def resources_of(self, asset: str) -> Resources:
        """What the profile gives that asset, or the one it is a control of; the least where it says nothing."""
        return self.resources.get(asset) or self.resources.get(asset.removeprefix(CONTROL)) or Resources()


def load_profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        SettingsError: there is no such profile, or a field of it is wrong.
    """
    content = yaml.safe_load(profile_file(name).read_text(encoding="utf-8"))
    try:
        return Profile.model_validate({"name": name, **content})
    except ValidationError as error:
        raise SettingsError(f"profiles/{name}.yaml: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """A validation error in one line: each field and what is wrong with it."""
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in error.errors())
