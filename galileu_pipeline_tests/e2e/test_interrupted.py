"""Trainings that are killed or told to stop, and go on."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from galileu_pipeline_tests.e2e.sandbox import TIMEOUT_S, Sandbox, copy_of, current

pytestmark = pytest.mark.e2e


def test_a_killed_run_goes_on_from_its_last_checkpoint(demonstrated: Sandbox, tmp_path: Path) -> None:
    box = copy_of(demonstrated, tmp_path)

    def command(**config: Any) -> str:
        overrides = {"save_steps": 1, "max_steps": 8, "eval_steps": 8}
        run = json.dumps({"ops": {"ppo_model": {"config": {"overrides": overrides, **config}}}})
        return f"dagster asset materialize --select ppo_model --config-json '{run}'"

    killed = box.start(command())
    try:
        wait_for_checkpoint(box, killed)
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    before = current(box)["ppo_model"]

    done = box.shell(command())
    assert done.returncode == 0, done.stderr
    resumed = current(box)["ppo_model"].manifest
    assert resumed.id != before.id
    assert resumed.resumed_from is not None

    done = box.shell(command(force=True))
    assert done.returncode == 0, done.stderr
    whole = current(box)["ppo_model"].manifest
    assert whole.resumed_from is None
    assert whole.files["adapter_model.safetensors"] == resumed.files["adapter_model.safetensors"]
    assert whole.metrics == resumed.metrics
    assert not list((box.data / "checkpoints").rglob("checkpoint-*"))


def test_a_terminated_run_saves_its_step_and_the_next_one_goes_on(demonstrated: Sandbox, tmp_path: Path) -> None:
    """SIGTERM to the command alone, as Kubernetes and Slurm send it to the process in front."""
    box = copy_of(demonstrated, tmp_path)
    overrides = {"save_steps": 4, "epochs": 6, "eval_steps": 1000}
    config = json.dumps({"ops": {"sft_model": {"config": {"overrides": overrides}}}})
    command = f"exec dagster asset materialize --select sft_model --config-json '{config}'"
    log = tmp_path / "terminated.log"
    with log.open("wb") as output:
        told = box.start(command, output)
        try:
            wait_for_checkpoint(box, told)
            told.terminate()
            assert told.wait(TIMEOUT_S) != 0
        finally:
            told.kill()
    said = re.search(r"saved step (\d+) of .*Materialize sft_model again", log.read_text())
    assert said is not None

    done = box.shell(command)
    assert done.returncode == 0, done.stderr
    manifest = current(box)["sft_model"].manifest
    assert manifest.resumed_from == f"checkpoint-{said[1]}"
    assert manifest.environment["resumes"] == 1


def wait_for_checkpoint(box: Sandbox, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not list((box.data / "checkpoints").rglob("checkpoint-*/complete")):
        assert process.poll() is None, "it ended before it had written a checkpoint"
        assert time.monotonic() < deadline
        time.sleep(0.05)
