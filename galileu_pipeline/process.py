"""Work in a process of its own: the orchestrator keeps no model in memory, and a crash takes nothing else with it.

What is asked goes into `spec.json`; beside it the process leaves `result.json`, or `error.json` where the work failed
in a way that a user can do something about.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from pydantic import BaseModel

from galileu_pipeline.disk import disk_faults_explained
from galileu_pipeline.errors import GalileuError, InputError, InterruptedProcessError, StageError, StoppedError

SPEC_NAME, RESULT_NAME, ERROR_NAME = "spec.json", "result.json", "error.json"
ALIVE_NAME = "alive"  # touched by the process as long as it gets on
_BEAT_S = 1.0

# Runs a command somewhere, until it ends; raises if that did not go well. Its last word is the path of the spec.
Launch = Callable[[list[str]], None]
# Sends one line to whoever watches: the Dagster event log, or the terminal.
Report = Callable[[str], None]

ResultT = TypeVar("ResultT", bound=BaseModel)


class Complaint(BaseModel):
    """An expected failure on its way between the processes."""

    message: str
    transient: bool
    exit_code: int


def run_process(module: Sequence[str], spec: BaseModel, result_type: type[ResultT], launch: Launch) -> ResultT:
    """What `python -m MODULE --spec FILE` makes of `spec`.

    Args:
        module: the module's name, and arguments of its own.

    Raises:
        StageError: the process complained, or ended without a result.
        StoppedError: this process was interrupted (Ctrl-C), and the other one with it.
        InputError: it complained of what it was given.
        InterruptedProcessError: likewise, but the same work may go well another time.
    """
    with TemporaryDirectory(prefix="galileu-") as folder:
        work = Path(folder)
        (work / SPEC_NAME).write_text(spec.model_dump_json(indent=2), encoding="utf-8")
        try:
            launch([sys.executable, "-m", *module, "--spec", str(work / SPEC_NAME)])
        except BaseException as error:
            if not (work / ERROR_NAME).is_file():
                raise
            complaint = Complaint.model_validate_json((work / ERROR_NAME).read_text(encoding="utf-8"))
            if isinstance(error, KeyboardInterrupt):
                raise StoppedError(complaint.message) from error
            if not isinstance(error, Exception):  # the orchestrator's own interruption, which has to reach it
                error.add_note(complaint.message)
                raise
            if complaint.exit_code == InputError.exit_code:
                raise InputError(complaint.message) from error
            raise (InterruptedProcessError if complaint.transient else StageError)(complaint.message) from error
        if not (work / RESULT_NAME).is_file():
            raise StageError(f"The process {' '.join(module)} ended without a result. Its output says why.")
        return result_type.model_validate_json((work / RESULT_NAME).read_text(encoding="utf-8"))


def serve(spec: Path, work: Callable[[Report], BaseModel]) -> int:
    """The other end: do the work and leave what came of it beside the spec. Returns the exit code.

    Under Dagster the reports go through Pipes, else to stderr.
    """
    from dagster_pipes import PipesEnvVarParamsLoader, open_dagster_pipes

    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        # Inherited from Dagster: it lets SIGTERM do what SIGINT does, and a shell ignores that in the background.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    say: Report = _print
    _heart.begin(spec.with_name(ALIVE_NAME))
    with ExitStack() as stack:
        if PipesEnvVarParamsLoader().is_dagster_pipes_process():
            say = stack.enter_context(open_dagster_pipes()).log.info

        def report(line: str) -> None:
            say(line)
            beat()

        try:
            with disk_faults_explained():
                result = work(report)
        except GalileuError as error:
            if isinstance(error, StoppedError):
                report(str(error))
            complaint = Complaint(message=str(error), transient=error.transient, exit_code=error.exit_code)
            (spec.parent / ERROR_NAME).write_text(complaint.model_dump_json(), encoding="utf-8")
            return error.exit_code
    (spec.parent / RESULT_NAME).write_text(result.model_dump_json(), encoding="utf-8")
    return 0


def beat() -> None:
    """Tell whoever watches this process that it gets on. Cheap enough to be called wherever it does."""
    _heart.beat()


class _Heart:
    """Touches a file, at most once a second; nothing before `begin`."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._next = 0.0

    def begin(self, file: Path) -> None:
        file.touch()
        self._file = file

    def beat(self) -> None:
        if self._file is not None and time.monotonic() >= self._next:
            os.utime(self._file)
            self._next = time.monotonic() + _BEAT_S


_heart = _Heart()


def hush() -> None:
    """Keep the libraries' own bars and notes out of ours; warnings that matter still come through."""
    import logging

    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # e.g. the load report of a fresh reward head
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
