"""What holds for all tests."""

import atexit
import gc
import os
import time
from collections.abc import Generator

import pytest
from hypothesis import settings

IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if IS_WORKER:
    # Registered before all others, so called after them. A worker has reported everything by then. Were its interpreter
    # taken apart as well, DuckDB would print a page of leaks: PyTorch and Dagster (2.13 and 1.13), in one process, keep
    # what an asset mentions for ever.
    atexit.register(os._exit, 0)

# The same zone on every machine; `make test-zone` reads feedback in another one.
os.environ.setdefault("TZ", "UTC")
time.tzset()

# No example has to be quick: the first one may wait for an import, and any for a busy machine.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are called by their parameter: compressed ones hold the time, and the workers must agree on names."""
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported meanwhile stays to the end. The collector need not look through it again in every test."""
    gc.disable()
    result = yield
    gc.collect()  # what the rewriting of assertions left
    gc.freeze()
    gc.enable()
    return result


def pytest_unconfigure() -> None:
    """Let an interpreter that is taken apart end in order.

    Hypothesis (6.170) leaves a callback with the garbage collector. By it modules outlive the interpreter, and DuckDB
    reports a page of leaks; as it does of what is frozen.
    """
    if not IS_WORKER:
        gc.callbacks.clear()
        gc.unfreeze()
