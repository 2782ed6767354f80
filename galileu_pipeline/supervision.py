"""Watching a process that works for us: it may end, be killed, hang, or have to be stopped with us."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from galileu_pipeline.errors import GalileuError, InterruptedProcessError
from galileu_pipeline.process import ALIVE_NAME

STOP_S = 600.0  # for the step that is under way, and its checkpoint
_POLL_S = 1.0


def supervise(
    command: list[str],
    patience_s: float,
    *,
    environment: Mapping[str, str] | None = None,
    stdout: IO[str] | None = None,
) -> None:
    """Run a command of `run_process` to its end.

    When this process is interrupted, the command gets SIGTERM and time to save its work; a second interruption
    kills it.

    Args:
        patience_s: how long it may go without a sign of life.

    Raises:
        InterruptedProcessError: it was killed, or hung and was killed for it.
        GalileuError: it ended with another code than 0.
    """
    process = subprocess.Popen(command, env=environment, stdout=stdout)
    alive = Path(command[-1]).with_name(ALIVE_NAME)
    try:
        with _terminations_as_interruptions():
            _watch(process, alive, patience_s)
    except BaseException:
        _stop(process)
        raise
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        raise InterruptedProcessError(
            f"The process was killed by {name}; the system does that to whoever takes too much memory. "
            "It goes on from its last checkpoint; if it happens again, lower batch_size."
        )
    if process.returncode > 0:
        raise GalileuError(f"The process ended with code {process.returncode}; what it printed says why.")


def _watch(process: subprocess.Popen[bytes], alive: Path, patience_s: float) -> None:
    last_sign, since = _sign(alive), time.monotonic()
    while True:
        try:
            process.wait(min(_POLL_S, patience_s))
            return
        except subprocess.TimeoutExpired:
            if (sign := _sign(alive)) != last_sign:
                last_sign, since = sign, time.monotonic()
            elif time.monotonic() - since > patience_s:
                process.kill()
                process.wait()
                raise InterruptedProcessError(
                    f"The process made no progress for {patience_s:g} s and was killed. It goes on from its last "
                    "checkpoint; if it was only slow, raise patience_s in the profile."
                ) from None


def _sign(alive: Path) -> int | None:
    return alive.stat().st_mtime_ns if alive.exists() else None


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except BaseException:
        process.kill()
        process.wait()
        raise


@contextmanager
def _terminations_as_interruptions() -> Iterator[None]:
    """SIGTERM, which would end this process and leave the other alone, acts like Ctrl-C where nobody handles it."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
