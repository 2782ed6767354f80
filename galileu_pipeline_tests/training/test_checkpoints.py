"""Checkpoints are whole or not there, whatever fails, and wherever."""

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn
from transformers import TrainingArguments

from galileu_pipeline.disk import disk_faults_explained
from galileu_pipeline.errors import DivergedError, StorageError
from galileu_pipeline.training import checkpoints
from galileu_pipeline.training.checkpoints import WholeCheckpoints, last_checkpoint, newest
from galileu_pipeline_tests.training.conftest import say_nothing

pytestmark = pytest.mark.slow


class Line(nn.Module):
    """The smallest network that a trainer takes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": ((self.layer(x) - y) ** 2).mean()}


class Plain(WholeCheckpoints):
    """A trainer that adds a file of its own, as PPO's does."""

    def add_to_checkpoint(self, folder: Path) -> None:
        (folder / "more.json").write_text("{}")


def make_trainer(folder: Path, **arguments: Any) -> Plain:
    settings: dict[str, Any] = {
        **{"max_steps": 6, "save_steps": 2, "save_total_limit": 2, "logging_steps": 100},
        **{"per_device_train_batch_size": 1, "learning_rate": 0.1, "lr_scheduler_type": "constant"},
        **{"use_cpu": True, "report_to": "none", "disable_tqdm": True},
    }
    torch.manual_seed(0)
    rows: Any = [{"x": torch.tensor([float(number)]), "y": torch.tensor([1.0])} for number in range(6)]
    return Plain(Line(), TrainingArguments(str(folder), **{**settings, **arguments}), train_dataset=rows)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    make_trainer(folder).train()
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """Where a training has left its last two checkpoints, 4 and 6."""
    return Path(shutil.copytree(trained, tmp_path / "kept"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if "checkpoint" in path.name)


def test_the_last_two_are_kept_with_all_that_the_stage_adds(folder: Path) -> None:
    assert names(folder) == ["checkpoint-4", "checkpoint-6"]
    assert newest(folder) == folder / "checkpoint-6"
    assert (folder / "checkpoint-6" / "more.json").is_file()


TORN: dict[str, Callable[[Path], Any]] = {
    "a file is cut off": lambda path: (path / "optimizer.pt").write_bytes((path / "optimizer.pt").read_bytes()[:-1]),
    "a file is empty": lambda path: (path / "trainer_state.json").write_bytes(b""),
    "a bit is another": lambda path: (path / "more.json").write_bytes(b"[}"),
    "a file is missing": lambda path: (path / "scheduler.pt").unlink(),
    "what the stage adds is missing": lambda path: (path / "more.json").unlink(),
    "there is a file too many": lambda path: (path / "stray.bin").write_bytes(b"x"),
    "there is no seal": lambda path: (path / "complete").unlink(),
    "the seal is empty": lambda path: (path / "complete").write_bytes(b""),
    "the seal is half": lambda path: (path / "complete").write_text('{"files": {'),
    "all is missing": lambda path: [file.unlink() for file in path.iterdir()],
}


@pytest.mark.parametrize("how", TORN)
def test_a_torn_checkpoint_is_never_chosen_and_is_named(folder: Path, how: str) -> None:
    TORN[how](folder / "checkpoint-6")
    told: list[str] = []
    assert newest(folder) == folder / "checkpoint-4"
    assert last_checkpoint(folder, told.append) == folder / "checkpoint-4"
    assert [line.split(":")[0] for line in told] == ["checkpoint-6 is removed"]
    assert names(folder) == ["checkpoint-4"]


@pytest.mark.parametrize("left", [".checkpoint-8.partial", ".checkpoint-6.old.partial"])
def test_what_was_being_written_or_deleted_is_removed_and_named(folder: Path, left: str) -> None:
    shutil.copytree(folder / "checkpoint-6", folder / left / "checkpoint-8")
    told: list[str] = []
    assert last_checkpoint(folder, told.append) == folder / "checkpoint-6"
    assert left in told[0]
    assert names(folder) == ["checkpoint-4", "checkpoint-6"]


@pytest.mark.parametrize("package", ["torch", "transformers", "trl", "peft", "code"])
def test_with_other_libraries_or_code_it_starts_over_and_says_so(folder: Path, package: str) -> None:
    for path in folder.glob("checkpoint-*/complete"):
        seal = json.loads(path.read_text())
        seal["written_by"][package] = "0.0.1"
        path.write_text(json.dumps(seal))
    told: list[str] = []
    assert last_checkpoint(folder, told.append) is None
    assert f"{package} 0.0.1, now" in told[0]
    assert "starting over" in told[-1]
    assert names(folder) == []


def test_weights_that_are_no_numbers_take_the_place_of_no_checkpoint(folder: Path) -> None:
    trainer = make_trainer(folder)
    before = names(folder)
    assert isinstance(trainer.model, nn.Module)
    name, weight = next(iter(trainer.model.named_parameters()))
    weight.data.view(-1)[0] = float("nan")
    with pytest.raises(DivergedError, match=f"weights of {name} are not finite"):
        trainer._save_checkpoint(trainer.model, None)
    assert names(folder) == before


def test_nothing_to_go_on_from_is_nothing_to_tell(tmp_path: Path) -> None:
    told: list[str] = []
    assert last_checkpoint(tmp_path / "not there", told.append) is None
    assert told == []


@pytest.mark.parametrize("torn", [False, True])
def test_true_means_the_newest_whole_one(folder: Path, torn: bool) -> None:
    if torn:
        (folder / "checkpoint-6" / "model.safetensors").write_bytes(b"torn")
    trainer = make_trainer(folder, max_steps=8)
    trainer.train(resume_from_checkpoint=True)
    whole = make_trainer(folder.with_name("whole"), max_steps=8)
    whole.train()
    for ours, theirs in zip(trainer.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("max_steps", [4, 6, 8])  # an epoch has six steps
def test_a_run_that_was_killed_after_its_last_step_takes_no_further_one(tmp_path: Path, max_steps: int) -> None:
    whole = make_trainer(tmp_path, max_steps=max_steps)
    whole.train()
    resumed = make_trainer(tmp_path, max_steps=max_steps)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == max_steps
    for ours, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


class FailAt:
    """Lets the Nth of the calls that change a disk fail, and all after it."""

    def __init__(self, at: int) -> None:
        self.calls, self.at = 0, at

    def wrap(self, function: Callable[..., Any], error: Exception) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if 0 < self.at <= self.calls:
                raise error
            return function(*arguments, **options)

        return call


def fill(patch: pytest.MonkeyPatch, at: int) -> FailAt:
    """A disk that is full from the Nth write on, as each library says it."""
    fault = FailAt(at)
    full = OSError(errno.ENOSPC, "No space left on device")
    torch_error = RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")
    rust_error = ValueError("Error while serializing: I/O error: No space left on device (os error 28)")
    patch.setattr(torch, "save", fault.wrap(torch.save, torch_error))
    patch.setattr(safetensors.torch, "save_file", fault.wrap(safetensors.torch.save_file, rust_error))
    for change in ("write_text", "mkdir", "rename", "replace"):
        patch.setattr(Path, change, fault.wrap(getattr(Path, change), full))
    patch.setattr(checkpoints, "sync", fault.wrap(checkpoints.sync, full))
    return fault


WRITES = 25  # more than one checkpoint needs


@pytest.fixture(scope="module")
def needed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many writes a checkpoint needs."""
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("counted") / "kept"))
    with pytest.MonkeyPatch.context() as patch:
        fault = fill(patch, 0)
        make_trainer(folder, max_steps=8).train(resume_from_checkpoint=str(folder / "checkpoint-6"))
    assert 10 < fault.calls < WRITES
    return fault.calls


@pytest.mark.parametrize("at", range(1, WRITES))
def test_wherever_the_disk_is_full_the_last_good_one_stays(folder: Path, needed: int, at: int) -> None:
    if at > needed:
        pytest.skip("a checkpoint needs fewer writes")
    trainer = make_trainer(folder, max_steps=8)
    with pytest.MonkeyPatch.context() as patch:
        fill(patch, at)
        with pytest.raises(StorageError, match="galileu prune"), disk_faults_explained():
            trainer.train(resume_from_checkpoint=str(folder / "checkpoint-6"))
    last = last_checkpoint(folder, say_nothing)
    assert last in (folder / "checkpoint-6", folder / "checkpoint-8")
    make_trainer(folder, max_steps=8).train(resume_from_checkpoint=str(last))
    assert newest(folder) == folder / "checkpoint-8"


@pytest.mark.e2e
def test_two_processes_end_alike_also_where_one_of_them_cannot_write(tmp_path: Path) -> None:
    launch = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    script = ("-m", "galileu_pipeline_tests.training.two_writers", str(tmp_path))
    done = subprocess.run([*launch, *script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"record_{rank}.json").read_text()) for rank in range(2))
    # Both curves hold means over the processes, whose sums since the last point of the curves are not alike.
    assert first["resumed"] == first["whole"] != []
    assert [failure.split(":")[0] for failure in first["failures"]] == ["OSError"] * 3
    assert [failure.split(" failed")[0] for failure in second["failures"]] == ["StageError: Process 0"] * 3
