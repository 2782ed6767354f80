"""Which GPUs a stage's process may see: as many as its resources say, not all that the machine has.

transformers copies a model to every GPU that it sees (`DataParallel`), which multiplies the examples of a step.

Light on purpose: it has to do its work before PyTorch looks for GPUs.
"""

from collections.abc import MutableMapping

from galileu_pipeline.errors import StageError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def limit_devices(environment: MutableMapping[str, str], gpus: int) -> None:
    """Leave the first `gpus` GPUs visible: of those that the user or the scheduler allows, if somebody does.

    Raises:
        StageError: fewer are allowed.
    """
    allowed = environment.get(VISIBLE)
    if allowed is None:
        environment[VISIBLE] = ",".join(map(str, range(gpus)))
        return
    names = _names(allowed)
    if len(names) < gpus:
        raise StageError(
            f"The stage needs {gpus} GPU (`resources` of the profile), but {VISIBLE}={allowed!r} shows {len(names)}. "
            f"Set {VISIBLE} to a GPU that is free, or choose a profile without GPUs (GALILEU_PROFILE=cpu)."
        )
    environment[VISIBLE] = ",".join(names[:gpus])


def _names(allowed: str) -> list[str]:
    """Numbers or UUIDs. What comes after one that does not exist, such as -1, is hidden too."""
    names = [name.strip() for name in allowed.split(",")]
    end = next((place for place, name in enumerate(names) if not name or name.startswith("-")), len(names))
    return names[:end]
