"""Trainings that are killed or told to stop, and go on."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from galileu_pipeline_tests.e2e.sandbox import (
    TIMEOUT_S,
    Sandbox,
    artifacts_of,
    copy_of,
    current,
    give_sample_feedback,
    make_sandbox,
)

pytestmark = pytest.mark.e2e


def test_a_killed_demo_goes_on_and_ends_with_the_digests_of_one_elsewhere(
    demonstrated: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same inputs give the same bytes in another folder, however often something came in between."""
    box = make_sandbox(tmp_path_factory.mktemp("killed"))
    give_sample_feedback(box)
    killed = box.start("exec galileu demo")
    try:
        wait_for_checkpoint(box, killed, "ppo_model")
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    before = artifacts_of(box).current("dpo_model").manifest

    done = box.galileu("demo")
    assert done.returncode == 0, done.stderr
    made, elsewhere = current(box), current(demonstrated)
    assert made["dpo_model"].manifest == before
    assert made["ppo_model"].manifest.resumed_from is not None
    assert elsewhere["ppo_model"].manifest.resumed_from is None
    for asset, artifact in made.items():
        assert artifact.manifest.digest == elsewhere[asset].manifest.digest, asset
        assert artifact.manifest.metrics == elsewhere[asset].manifest.metrics, asset
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
            wait_for_checkpoint(box, told, "sft_model")
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


def wait_for_checkpoint(box: Sandbox, process: subprocess.Popen[bytes], asset: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not list((box.data / "checkpoints").glob(f"{asset}-*/checkpoint-*/complete")):
        assert process.poll() is None, "it ended before it had written a checkpoint"
        assert time.monotonic() < deadline
        time.sleep(0.05)
