"""What the libraries read from the environment. The package sets it before any of them is loaded; children inherit it.

What the user has set stays as it is.
"""

from collections.abc import MutableMapping

_NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",  # whoever keeps to https://donottrack.sh, huggingface_hub among them
    "HF_HUB_DISABLE_TELEMETRY": "1",  # with it TRL, which reports from the constructor of every trainer
    "GRADIO_ANALYTICS_ENABLED": "False",
    "DAGSTER_DISABLE_TELEMETRY": "1",  # where DAGSTER_HOME is not ours, and its dagster.yaml does not say so
    "RAY_USAGE_STATS_ENABLED": "0",
}

# Rounds that a thread of libgomp (PyTorch's OpenMP on Linux) spins at a barrier before it sleeps. With its default of
# 300,000, one other busy process makes training many times slower: threads spin on the core that the last one waits
# for. So few cost next to nothing on a quiet machine (benchmarks/busy_machine.py). libgomp reads it when it is loaded.
_SPIN_COUNT = {"GOMP_SPINCOUNT": "10000"}
_WAIT_POLICY = "OMP_WAIT_POLICY"

# We compile nothing with TorchDynamo. But bitsandbytes, which PEFT imports, decorates functions for it, and that alone
# loads the compiler: a quarter of the time that a training's process takes to start.
_NO_COMPILER = {"TORCHDYNAMO_DISABLE": "1"}

DEFAULTS = {**_NO_TELEMETRY, **_SPIN_COUNT, **_NO_COMPILER}


def set_defaults(environment: MutableMapping[str, str]) -> None:
    """Set what is not set yet. A wait policy says how long threads spin, so with one the count is left alone."""
    for name, value in DEFAULTS.items():
        if not (name in _SPIN_COUNT and _WAIT_POLICY in environment):
            environment.setdefault(name, value)
