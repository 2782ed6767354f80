"""What a child of `crash.py` does: one stage from its inputs to its published model, until a fault ends it."""

import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft.peft_model
import pyarrow as pa
import torch
import transformers.models.llama.modeling_llama  # noqa: F401 (likewise)
from safetensors import SafetensorError
from transformers import TrainerControl, TrainerState, TrainingArguments

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.disk import disk_faults_explained
from galileu_pipeline.feedback.pairing.datasets import write_examples, write_held_out_answers, write_pairs
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.process import RESULT_NAME
from galileu_pipeline.profiles.schema import load_profile
from galileu_pipeline.training import __main__ as stage_process
from galileu_pipeline.training import base, dpo, reward, sft  # noqa: F401 (once here, not in every child)
from galileu_pipeline.training.progress import ProgressCallback
from galileu_pipeline.training.settings import StageName, StageSpec
from galileu_pipeline.training.stages import Stage, make_model

SAVE_STEPS = 2
MAX_STEPS = 8
# Checkpoints, the last one too, lie between two points of the curves, and in the middle of an epoch.
SETTINGS: Mapping[str, Any] = {
    **{"batch_size": 8, "max_steps": MAX_STEPS, "max_length": 128, "logging_steps": 3, "save_steps": SAVE_STEPS},
    **{"eval_steps": 4, "eval_examples": 4},
}
INPUTS: Mapping[StageName, list[str]] = {
    "base": [],
    "sft": ["base_model", "sft_dataset"],
    "reward": ["base_model", "sft_model", "reward_dataset"],
    "dpo": ["base_model", "sft_model", "dpo_dataset"],
}
STAGES: tuple[StageName, ...] = ("sft", "reward", "dpo")
_FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


# What is changed first when a checkpoint is written, the last but one, or the files of a model.
A_CHECKPOINT = r"/\.checkpoint-\d+\.partial"
LAST_BUT_ONE = rf"/\.checkpoint-{MAX_STEPS - SAVE_STEPS}\.partial"
LAST = rf"/\.checkpoint-{MAX_STEPS}\.partial"
PUBLICATION = r"^/models/\..+\.partial/"


class Faults:
    """Counts what this process changes in one folder, from what `since` describes on, and strikes the Nth time.

    Counted are every opening for writing, making, renaming and deleting that Python does, and every file that PyTorch
    and safetensors write by themselves, which then is cut off. It strikes by SIGKILL or, from then on, with a full
    disk, which refuses all but deletions.
    """

    def __init__(self, folder: Path, since: str = "", at: int = 0, *, full: bool) -> None:
        self.events: list[str] = []
        self._folder, self._since, self._at, self._full = str(folder), since, at, full
        self._count = 0
        self._striking = False

    def install(self) -> None:
        sys.addaudithook(self._hear)
        torch.save = self._native(torch.save, RuntimeError("PytorchStreamWriter failed writing file data/0"))
        full = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        peft.peft_model.safe_save_file = self._native(peft.peft_model.safe_save_file, full)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & _FOR_WRITING
        adds = bool(opened) or event in ("os.rename", "os.mkdir")
        if (adds or event in ("os.remove", "os.rmdir")) and self._is_due(arguments[0], adds):
            self._strike(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(arguments[0])))

    def _native(self, write: Callable[..., Any], error: Exception) -> Callable[..., Any]:
        def writes(content: Any, path: Any, *arguments: Any, **options: Any) -> Any:
            if self._is_due(path, adds=True):
                self._striking = True
                Path(path).write_bytes(b"cut off")
                self._striking = False
                self._strike(error)
            return write(content, path, *arguments, **options)

        return writes

    def _is_due(self, path: Any, adds: bool) -> bool:
        if self._striking or not isinstance(path, str | os.PathLike) or not os.fspath(path).startswith(self._folder):
            return False
        if self._full and not adds:
            return False
        self.events.append(os.fspath(path).removeprefix(self._folder))
        if self._count or re.search(self._since, self.events[-1]):
            self._count += 1
        return self._count == self._at > 0 or (self._full and 0 < self._at < self._count)

    def _strike(self, error: Exception) -> None:
        if not self._full:
            os.kill(os.getpid(), signal.SIGKILL)
        raise error


def prepare(root: Path) -> None:
    """The base model, the datasets, and the SFT model that reward and DPO start from."""
    store = open_store(root)
    store.set_current(make_model(store, stage_of("base"), {}, launch).artifact)
    make_datasets(store)
    store.set_current(make(root, "sft"))


def make_datasets(store: ArtifactStore, padding: str = "") -> None:
    """Questions whose good and bad answer are always the same; `padding` makes answers as long as real ones."""
    good, bad = f"Sim, com a luneta eu vi. {padding}", f"Futebol e bolo. {padding}"
    sides = ["test", *["train"] * 4] * 5 + ["validation"] * 5
    rows = [(f"Você viu a lua número {number}?", side) for number, side in enumerate(sides)]
    pairs = [
        {"pair_id": str(number), "prompt": text, "chosen": good, "rejected": bad, "split": split}
        for number, (text, split) in enumerate(rows)
    ]
    answers = [
        {"prompt": text, "response": answer, "score": score, "split": split, "example_id": f"{text}-{score}"}
        for text, split in rows
        for answer, score in ((good, 1.0), (bad, 0.0))
    ]

    def write(folder: Path) -> Outcome:
        write_pairs(pa.Table.from_pylist(pairs).to_batches(), "", folder)
        write_held_out_answers(pa.Table.from_pylist(answers).to_batches(), "", folder)
        return Outcome()

    def write_sft(folder: Path) -> Outcome:
        write_examples(pa.Table.from_pylist(answers).to_batches(), [], 0.75, "", folder)
        return Outcome()

    for asset in ("dpo_dataset", "reward_dataset"):
        store.set_current(store.make(Plan(asset, [], {}), write).artifact)
    store.set_current(store.make(Plan("sft_dataset", [], {}), write_sft).artifact)


def make(root: Path, name: StageName) -> Artifact:
    """The model of that stage in the data folder `root`, trained in this process."""
    store = open_store(root)
    inputs = {asset: store.current(asset) for asset in INPUTS[name]}
    return make_model(store, stage_of(name), inputs, launch).artifact


def stage_of(name: StageName) -> Stage:
    profile = load_profile("tiny")
    overrides = {} if name == "base" else SETTINGS
    stage = profile.stage(name, overrides)
    samples = stage.samples.model_copy(update={"prompts": 1, "max_new_tokens": 2})
    return replace(stage, lora=stage.lora.model_copy(update={"dropout": 0.1}), samples=samples)


def open_store(root: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(root), "tiny")


def launch(command: list[str]) -> None:
    """The stage in this process, so that a kill ends training and publishing alike."""
    spec = Path(command[-1])
    result = stage_process.run(StageSpec.model_validate_json(spec.read_text(encoding="utf-8")), _say)
    spec.with_name(RESULT_NAME).write_text(result.model_dump_json(), encoding="utf-8")


def _say(line: str) -> None:
    """Nothing."""


def work(root: Path, name: StageName, journal: Path, faults: Faults | None) -> None:
    """Make the model of stage `name`, and write every step that is done into `journal`; at last, what came of it."""
    report = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    step_ended = ProgressCallback.on_step_end

    def note(
        self: ProgressCallback, args: TrainingArguments, state: TrainerState, control: TrainerControl, **options: Any
    ) -> None:
        os.write(report, f"{state.global_step}\n".encode())
        step_ended(self, args, state, control, **options)

    ProgressCallback.on_step_end = note  # type: ignore[method-assign]
    if faults:
        faults.install()
    with disk_faults_explained():
        made = make(root, name)
    outcome = {
        "digest": made.manifest.digest,
        "resumes": made.manifest.environment.get("resumes", 0),
        "events": faults.events if faults else [],
    }
    os.write(report, json.dumps(outcome).encode() + b"\n")
