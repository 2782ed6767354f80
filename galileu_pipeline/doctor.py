"""What is installed, what this machine has, and which profile fits it."""

import importlib.util
import os
from pathlib import Path

from pydantic import BaseModel

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.lineage.manifest import package_versions
from galileu_pipeline.profiles.names import active_profile_name, profile_names
from galileu_pipeline.profiles.schema import Profile, load_profile
from galileu_pipeline.training.settings import GgufBase, HubBase

GIB = 1024**3


class Gpu(BaseModel):
    """An accelerator; memory in GiB."""

    name: str
    memory_gb: float


class Machine(BaseModel):
    """What this machine has; memory in GiB."""

    cpus: int
    memory_gb: float
    native_bf16: bool
    gpus: list[Gpu]


class Fit(BaseModel):
    """Whether a profile fits the machine; `problems` says why not, `notes` what to know."""

    profile: str
    description: str
    fits: bool
    problems: list[str]
    notes: list[str]


class Diagnosis(BaseModel):
    """All of it."""

    packages: dict[str, str | None]
    machine: Machine
    active_profile: str
    data_folder: Path
    feedback_found: bool
    dagster_home: str | None
    profiles: list[Fit]

    @property
    def healthy(self) -> bool:
        """Everything is installed, and the active profile fits."""
        active = next(fit for fit in self.profiles if fit.profile == self.active_profile)
        return all(self.packages.values()) and active.fits


def diagnose() -> Diagnosis:
    """Look at everything. Imports PyTorch to see the GPUs.

    Raises:
        SettingsError: the active profile does not exist or does not validate.
    """
    active, data, machine = load_profile(active_profile_name()), DataFolder.from_environment(), look_at_machine()
    return Diagnosis(
        packages=package_versions(),
        machine=machine,
        active_profile=active.name,
        data_folder=data.root,
        feedback_found=data.feedback_db.is_file(),
        dagster_home=os.environ.get("DAGSTER_HOME"),
        profiles=[fit(load_profile(name), machine) for name in profile_names()],
    )


def look_at_machine() -> Machine:
    """Cores this process may use, main memory, GPUs."""
    import torch

    return Machine(
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1),
        native_bf16=torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported(),
        gpus=[
            Gpu(
                name=torch.cuda.get_device_name(index),
                memory_gb=round(torch.cuda.get_device_properties(index).total_memory / GIB, 1),
            )
            for index in range(torch.cuda.device_count())
        ],
    )


def fit(profile: Profile, machine: Machine) -> Fit:
    """Compare what the profile's stages need with what the machine has."""
    needs = profile.resources.values()
    gpus = max((need.gpus for need in needs), default=0)
    vram = max((need.min_vram_gb for need in needs), default=0.0)
    memory = max((need.memory_gb for need in needs), default=0.0)
    large_enough = [gpu for gpu in machine.gpus if gpu.memory_gb >= vram]
    problems, notes = [], []
    if len(large_enough) < gpus:
        found = ", ".join(f"{gpu.name} ({gpu.memory_gb} GiB)" for gpu in machine.gpus) or "none"
        problems.append(f"needs {gpus} GPU with {vram:g} GiB; found: {found}")
    if machine.memory_gb < memory:
        problems.append(f"needs {memory:g} GiB of memory; found {machine.memory_gb:g}")
    if isinstance(profile.base, GgufBase) and importlib.util.find_spec(profile.base.package) is None:
        problems.append(f"the package {profile.base.package}, which carries the base model, is not installed")
    if isinstance(profile.base, HubBase):
        notes.append(f"downloads {profile.base.repo} from the model hub (set HF_TOKEN if it is gated)")
    if not machine.native_bf16 and any(need.precision == "bf16" and not need.gpus for need in needs):
        notes.append("this CPU has no bf16 arithmetic, so training is slower than it could be")
    return Fit(profile=profile.name, description=profile.description, fits=not problems, problems=problems, notes=notes)
