"""Processes that work for us: killed, hanging, stopped with us."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from galileu_pipeline import supervision
from galileu_pipeline.errors import GalileuError, InterruptedProcessError, StageError, StorageError
from galileu_pipeline.process import ERROR_NAME, Complaint, beat, run_process, serve
from galileu_pipeline.supervision import supervise


@pytest.fixture(autouse=True)
def terminable() -> Iterator[None]:
    """SIGTERM ends a child, whatever this process ignores.

    Dagster, where another test has it run in this process, lets SIGTERM do what SIGINT does. That is nothing where a
    shell started the tests in the background, and children inherit it.
    """
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def command(tmp_path: Path, script: str) -> list[str]:
    return [sys.executable, "-S", "-c", script, str(tmp_path / "spec.json")]


def test_a_process_that_ends_well(tmp_path: Path) -> None:
    supervise(command(tmp_path, "pass"), 60)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGBUS])
def test_a_killed_process_is_worth_another_try(tmp_path: Path, number: signal.Signals) -> None:
    with pytest.raises(InterruptedProcessError, match=f"killed by {number.name}.*last checkpoint") as error:
        supervise(command(tmp_path, f"import os; os.kill(os.getpid(), {int(number)})"), 60)
    assert error.value.transient


@pytest.mark.parametrize("code", [1, 2, 137])
def test_a_process_that_fails_is_not(tmp_path: Path, code: int) -> None:
    with pytest.raises(GalileuError, match=f"code {code}") as error:
        supervise(command(tmp_path, f"raise SystemExit({code})"), 60)
    assert not error.value.transient


@pytest.mark.parametrize(
    "hang", ["import time; time.sleep(600)", "while True: pass", "import os; os.kill(os.getpid(), 19)"]
)
def test_a_process_without_progress_is_killed(tmp_path: Path, hang: str) -> None:
    with pytest.raises(InterruptedProcessError, match=r"no progress for 0\.1 s.*patience_s") as error:
        supervise(command(tmp_path, hang), 0.1)
    assert error.value.transient


class Slow:
    """A process that takes five looks, on a clock of its own, and touches its file before some of them."""

    def __init__(self, alive: Path, touches: list[bool]) -> None:
        self.now, self.killed = 0.0, False
        self._alive, self._touches = alive, touches

    def wait(self, timeout: float = 0) -> None:
        self.now += timeout
        if self.killed or not self._touches:
            return
        if self._touches.pop(0):
            self._alive.touch()
            os.utime(self._alive, (self.now, self.now))
        raise subprocess.TimeoutExpired("slow", timeout)

    def kill(self) -> None:
        self.killed = True


@pytest.mark.parametrize(
    ("touches", "hangs"),
    [([True] * 5, False), ([False, False, True, False, False], False), ([True, False, False, False, False], True)],
)
def test_a_process_that_gets_on_may_take_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, touches: list[bool], hangs: bool
) -> None:
    process: Any = Slow(tmp_path / "alive", touches)
    monkeypatch.setattr(supervision, "time", SimpleNamespace(monotonic=lambda: process.now))
    with pytest.raises(InterruptedProcessError) if hangs else nullcontext():
        supervision._watch(process, tmp_path / "alive", 2.5)
    assert process.killed == hangs


def test_an_interruption_is_handed_on_and_waited_for(tmp_path: Path) -> None:
    """As Kubernetes ends a container: SIGTERM to the process in front."""
    script = (
        "import os, pathlib, signal, sys, time\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "def save(*_): here.with_name('saved').touch(); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "time.sleep(600)"
    )
    with pytest.raises(KeyboardInterrupt):
        supervise(command(tmp_path, script), 60)
    assert (tmp_path / "saved").exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


class Word(BaseModel):
    text: str


def test_a_process_can_be_ended_where_it_inherits_that_nothing_ends_it(tmp_path: Path) -> None:
    """A stage loads libraries for seconds before it listens; a stop that is lost then would be waited for."""
    script = (
        "import os, pathlib, signal, sys\n"
        "from galileu_pipeline.process import serve\n"
        "serve(pathlib.Path(sys.argv[1]), lambda report: os.kill(os.getpid(), signal.SIGTERM))"
    )
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with pytest.raises(InterruptedProcessError, match="killed by SIGTERM"):
        supervise([sys.executable, "-c", script, str(tmp_path / "spec.json")], 60)


def test_what_an_interrupted_process_says_of_going_on_is_told(tmp_path: Path) -> None:
    def launch(command: list[str]) -> None:
        complaint = Complaint(message="Materialize it again.", transient=False, exit_code=1)
        Path(command[-1]).with_name(ERROR_NAME).write_text(complaint.model_dump_json())
        raise KeyboardInterrupt

    with pytest.raises(StageError, match="Materialize it again"):
        run_process(["module"], Word(text=""), Word, launch)


def test_an_orchestrators_interruption_stays_one_and_carries_what_is_said() -> None:
    from dagster._core.errors import DagsterExecutionInterruptedError

    def launch(command: list[str]) -> None:
        complaint = Complaint(message="Materialize it again.", transient=False, exit_code=1)
        Path(command[-1]).with_name(ERROR_NAME).write_text(complaint.model_dump_json())
        raise DagsterExecutionInterruptedError

    with pytest.raises(DagsterExecutionInterruptedError) as error:
        run_process(["module"], Word(text=""), Word, launch)
    assert error.value.__notes__ == ["Materialize it again."]


def test_reports_are_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from galileu_pipeline import process

    monkeypatch.setattr(process, "_heart", process._Heart())
    beat()  # nobody listens yet
    signs = []

    def work(report: process.Report) -> Word:
        os.utime(tmp_path / "alive", (0, 0))
        report("a line")
        signs.append((tmp_path / "alive").stat().st_mtime)
        return Word(text="done")

    assert serve(tmp_path / "spec.json", work) == 0
    assert signs[0] > 0


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "/data/models/x"),
        OSError(30, "Read-only file system", "/data"),
        PermissionError(13, "Permission denied", "/data"),
        RuntimeError("[enforce fail at inline_container.cc:672] . PytorchStreamWriter failed writing file data/0"),
        ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError('IO Error: Could not write file "/data/galileu.duckdb": No space left on device'),
    ],
)
def test_a_disk_that_takes_nothing_is_one_clear_error(tmp_path: Path, error: Exception) -> None:
    def work(report: object) -> Word:
        raise error

    assert serve(tmp_path / "spec.json", work) == StorageError.exit_code
    complaint = Complaint.model_validate_json((tmp_path / ERROR_NAME).read_text())
    assert not complaint.transient
    assert "run it again" in complaint.message


def after_a_forbidden_place() -> Exception:
    try:
        try:
            raise PermissionError(13, "Permission denied", "/root/.cache")
        except PermissionError:
            raise ValueError("a bug")  # noqa: B904 - libraries do that
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), FileNotFoundError(2, "No such file"), KeyError("x"), after_a_forbidden_place()]
)
def test_what_is_no_fault_of_a_disk_stays_a_bug(tmp_path: Path, error: Exception) -> None:
    def work(report: object) -> Word:
        raise error

    with pytest.raises(type(error)):
        serve(tmp_path / "spec.json", work)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "/data"), "galileu prune"),
        (OSError(30, "Read-only file system"), "writable"),
    ],
)
def test_the_command_line_says_it_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError, said: str
) -> None:
    from galileu_pipeline import cli

    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
