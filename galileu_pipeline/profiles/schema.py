"""A profile: one YAML with everything that differs between a laptop and a cluster."""

import os
from importlib.resources import files

import yaml
from pydantic import Field, ValidationError

from galileu_pipeline.errors import SettingsError
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

DEFAULT_PROFILE = "cpu"


class DatasetSettings(Settings):
    """What goes into the training sets."""

    system_prompt: str = Field(description="first message of every conversation; empty for none")
    sft_min_score: float = Field(0.75, ge=0, le=1, description="least mean score (0 to 1) of an answer to imitate")
    min_train_pairs: int = Field(100, ge=1, description="fewer training pairs than this block the training")
    min_test_pairs: int = Field(20, ge=1, description="fewer held-out pairs than this block the training")


class Profile(Settings):
    """All settings, as `profiles/<name>.yaml` gives them."""

    name: str
    description: str
    seed: int = 0
    repair_text: bool = Field(True, description="undo encoding damage and merge the wordings of one question")
    pairing: PairingSettings = PairingSettings()
    datasets: DatasetSettings
    base: BaseSettings
    lora: LoraSettings = LoraSettings()
    samples: SampleSettings = SampleSettings()
    sft: SftSettings
    reward: RewardSettings
    dpo: DpoSettings
    resources: dict[str, Resources] = Field(description="by model asset")


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
        raise SettingsError(f"There is no profile {name!r}. GALILEU_PROFILE takes one of: {', '.join(profile_names())}.")
    content = yaml.safe_load((_folder() / f"{name}.yaml").read_text(encoding="utf-8"))
    try:
        return Profile.model_validate({"name": name, **content})
    except ValidationError as error:
        raise SettingsError(f"profiles/{name}.yaml: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """A validation error in one line: each field and what is wrong with it."""
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in error.errors())


def _folder():  # type: ignore[no-untyped-def]
    return files("galileu_pipeline.profiles")
