"""Work in a process of its own: the orchestrator keeps no model in memory, and a crash takes nothing else with it.

What is asked goes into `spec.json`; beside it the process leaves `result.json`, or `error.json` where the work failed
in a way that a user can do something about.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from pydantic import BaseModel

from galileu_pipeline.errors import GalileuError, InputError, InterruptedProcessError, StageError

SPEC_NAME, RESULT_NAME, ERROR_NAME = "spec.json", "result.json", "error.json"

# Runs a command somewhere, until it ends; raises if that did not go well.
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
        InputError: it complained of what it was given.
        InterruptedProcessError: likewise, but the same work may go well another time.
    """
    with TemporaryDirectory(prefix="galileu-") as folder:
        work = Path(folder)
        (work / SPEC_NAME).write_text(spec.model_dump_json(indent=2), encoding="utf-8")
        try:
            launch([sys.executable, "-m", *module, "--spec", str(work / SPEC_NAME)])
        except Exception as error:
            if not (work / ERROR_NAME).is_file():
                raise
            complaint = Complaint.model_validate_json((work / ERROR_NAME).read_text(encoding="utf-8"))
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

    report: Report = _print
    with ExitStack() as stack:
        if PipesEnvVarParamsLoader().is_dagster_pipes_process():
            report = stack.enter_context(open_dagster_pipes()).log.info
        try:
            result = work(report)
        except GalileuError as error:
            complaint = Complaint(message=str(error), transient=error.transient, exit_code=error.exit_code)
            (spec.parent / ERROR_NAME).write_text(complaint.model_dump_json(), encoding="utf-8")
            return error.exit_code
    (spec.parent / RESULT_NAME).write_text(result.model_dump_json(), encoding="utf-8")
    return 0


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
