"""The garbage collector and the libraries that a process loads."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """To stand around a process's imports: the collector rests meanwhile, and overlooks afterwards what was imported.

    PyTorch, transformers and TRL make half a million objects that live as long as the process does. The collector
    would look through all of them many times while they are loaded, now and then while a model is trained, and once
    more at the end: a third of what it takes to start and to end such a process (benchmarks/process_start.py).
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.freeze)  # all is given back with the process; looking for it first takes another second
