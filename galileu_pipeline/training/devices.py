"""Which GPU a stage's process uses: one that no other stage uses meanwhile, and that is large enough. Or none.

transformers copies a model to every GPU that it sees (`DataParallel`), which multiplies the examples of a step, so a
process sees no more than its resources say.

Light on purpose: it has to do its work before PyTorch looks for GPUs.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pynvml
from filelock import FileLock, Timeout

from galileu_pipeline.errors import StageError
from galileu_pipeline.process import Report, beat
from galileu_pipeline.training.settings import Resources

VISIBLE = "CUDA_VISIBLE_DEVICES"
GIB = 1024**3
# One file a GPU, whatever data folder a stage works for. The system unlocks it when the process ends, however it ends.
LOCKS = Path(tempfile.gettempdir()) / "galileu-gpus"
_RESERVED_GB = 1.0  # what driver and desktop may hold of a GPU that nobody uses
_POLL_S = 2.0
_NOT_NVIDIA = Path("/dev/kfd")  # AMD's driver, of which NVML knows nothing


@dataclass(frozen=True)
class Gpu:
    """A GPU of this machine; memory in GiB."""

    number: int
    uuid: str
    name: str
    memory_gb: float
    free_gb: float

    def __str__(self) -> str:
        return f"GPU {self.number} {self.name} ({self.memory_gb:.1f} GiB, {self.free_gb:.1f} free)"


def look_at_gpus() -> list[Gpu]:
    """Every NVIDIA GPU of this machine, as it is now; none where there is no driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_look_at(number) for number in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()


@contextmanager
def own_devices(
    environment: MutableMapping[str, str],
    resources: Resources,
    report: Report,
    *,
    look: Callable[[], list[Gpu]] = look_at_gpus,
    locks: Path = LOCKS,
) -> Iterator[None]:
    """Let the process see what `resources` asks for, and nothing else, as long as the block lasts.

    A GPU is one of those that the user or the scheduler allows, if somebody does (CUDA_VISIBLE_DEVICES). While other
    stages use all that are large enough, it is waited for.

    Raises:
        StageError: none is allowed, or large enough, or other programs hold its memory; names the profile that fits.
    """
    if not resources.gpus:
        environment[VISIBLE] = ""
        yield
        return
    allowed = _allowed(environment)
    if (allowed and allowed[0].startswith("MIG-")) or _NOT_NVIDIA.exists():
        environment[VISIBLE] = allowed[0] if allowed else "0"
        yield
        return
    with _first_free(resources, report, lambda: [gpu for gpu in look() if _is_among(gpu, allowed)], locks) as gpu:
        environment[VISIBLE] = gpu.uuid
        yield


@contextmanager
def _first_free(resources: Resources, report: Report, look: Callable[[], list[Gpu]], locks: Path) -> Iterator[Gpu]:
    locks.mkdir(parents=True, exist_ok=True)
    _for_all_users(locks, 0o777)
    waiting = False
    while True:
        gpus = look()
        large = [gpu for gpu in gpus if gpu.memory_gb >= resources.min_vram_gb]
        if not large:
            raise StageError(_too_little(resources, gpus))
        in_use = 0
        for gpu in sorted(large, key=lambda gpu: -gpu.free_gb):
            with ExitStack() as stack:
                try:
                    lock = stack.enter_context(FileLock(locks / f"{gpu.uuid}.lock", timeout=0))
                except Timeout:
                    in_use += 1
                    continue
                _for_all_users(Path(lock.lock_file), 0o666)
                if gpu.free_gb + _RESERVED_GB >= resources.min_vram_gb:
                    yield gpu
                    return
        if not in_use:
            raise StageError(
                f"The stage needs {resources.min_vram_gb:g} GiB of a GPU, but other programs hold them: "
                f"{_listed(large)}. `nvidia-smi` shows which; end them, or wait, and materialize it again."
            )
        if not waiting:
            report("waiting for a GPU: other stages use all that are large enough")
        waiting = True
        beat()
        time.sleep(_POLL_S)


def _for_all_users(path: Path, mode: int) -> None:
    """Whoever made it opens it for the others; the umask would keep them out."""
    with suppress(PermissionError):
        path.chmod(mode)


def _allowed(environment: MutableMapping[str, str]) -> list[str] | None:
    """Numbers or UUIDs; None if nobody says. What comes after one that does not exist, such as -1, is hidden too."""
    allowed = environment.get(VISIBLE)
    if allowed is None:
        return None
    names = [name.strip() for name in allowed.split(",")]
    end = next((place for place, name in enumerate(names) if not name or name.startswith("-")), len(names))
    if not end:
        raise StageError(
            f"The stage needs 1 GPU (`resources` of the profile), but {VISIBLE}={allowed!r} shows 0. Set {VISIBLE} to "
            "one that is free, or choose a profile without GPUs (GALILEU_PROFILE=cpu)."
        )
    return names[:end]


def _is_among(gpu: Gpu, allowed: Sequence[str] | None) -> bool:
    """UUIDs may be cut short, as CUDA takes them."""
    return allowed is None or any(
        gpu.uuid.startswith(name) if name.startswith("GPU-") else name == str(gpu.number) for name in allowed
    )


def _too_little(resources: Resources, gpus: Sequence[Gpu]) -> str:
    # Here, since profiles are made of stages.
    from galileu_pipeline.profiles.names import profile_names
    from galileu_pipeline.profiles.schema import load_profile

    needs = {name: load_profile(name).resources.values() for name in profile_names()}
    fitting = [
        (max(need.min_vram_gb for need in of_profile), max(need.memory_gb for need in of_profile), name)
        for name, of_profile in needs.items()
        if all(not need.gpus or any(gpu.memory_gb >= need.min_vram_gb for gpu in gpus) for need in of_profile)
    ]
    return (
        f"The stage needs a GPU with {resources.min_vram_gb:g} GiB of memory; found: {_listed(gpus) or 'none'}. "
        f"Profile {max(fitting)[-1]} fits this machine: export GALILEU_PROFILE={max(fitting)[-1]}. `galileu doctor` "
        "shows what each profile needs."
    )


def _listed(gpus: Sequence[Gpu]) -> str:
    return ", ".join(map(str, gpus))


def _look_at(number: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(number)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(
        number=number,
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        name=pynvml.nvmlDeviceGetName(handle),
        memory_gb=round(memory.total / GIB, 2),
        free_gb=round(memory.free / GIB, 2),
    )
