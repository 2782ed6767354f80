"""Profiles: every one validates, and a mistake is named."""

import pytest
from pydantic import ValidationError

from galileu_pipeline.doctor import Gpu, Machine, fit
from galileu_pipeline.errors import SettingsError
from galileu_pipeline.profiles.names import active_profile_name, profile_names
from galileu_pipeline.profiles.schema import load_profile
from galileu_pipeline.training.settings import Resources, SftSettings

MODELS = {"base_model", "sft_model", "reward_model", "dpo_model", "ppo_model", "model_evaluation"}


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_validates_and_says_what_each_model_needs(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert set(profile.resources) == MODELS


def test_the_default_is_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GALILEU_PROFILE", raising=False)
    assert active_profile_name() == "cpu"


def test_an_unknown_profile_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(SettingsError, match=r"no profile 'huge'.*cpu, gpu-16gb, gpu-40gb, tiny"):
        load_profile("huge")


def test_overrides_go_over_the_profile_and_are_validated() -> None:
    profile = load_profile("cpu")
    assert profile.stage("dpo", {"beta": 0.5}).settings.model_dump()["beta"] == 0.5
    with pytest.raises(SettingsError, match="stage dpo: beta: Input should be greater than 0"):
        profile.stage("dpo", {"beta": -1})
    with pytest.raises(SettingsError, match="stage sft: bata: Extra inputs are not permitted"):
        profile.stage("sft", {"bata": 1})


def test_nf4_on_a_gpu_computes_in_bf16() -> None:
    with pytest.raises(ValueError, match="set precision: bf16"):
        Resources(gpus=1, quantization="nf4", precision="fp32")


def test_a_profile_that_does_not_fit_says_what_is_missing() -> None:
    small = Machine(cpus=2, memory_gb=16, native_bf16=True, gpus=[Gpu(name="RTX 4060", memory_gb=8)])
    found = fit(load_profile("gpu-16gb"), small)
    assert not found.fits
    assert any("needs 1 GPU with 15 GiB; found: RTX 4060 (8.0 GiB)" in problem for problem in found.problems)
    assert any("needs 24 GiB of memory" in problem for problem in found.problems)


def test_a_profile_that_fits() -> None:
    large = Machine(cpus=16, memory_gb=64, native_bf16=True, gpus=[Gpu(name="A100", memory_gb=40)])
    assert fit(load_profile("gpu-16gb"), large).fits
    assert fit(load_profile("gpu-40gb"), large).fits


@pytest.mark.parametrize("steps", [0, -2])
def test_no_steps_train_nothing(steps: int) -> None:
    with pytest.raises(ValidationError, match="max_steps"):
        SftSettings(learning_rate=1e-3, max_steps=steps)
