"""PPO on two processes (gloo), as `accelerate launch` starts them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e


def train(base: Path, output: Path, *checkpoint: str) -> list[dict[str, Any]]:
    output.mkdir(exist_ok=True)
    launch = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    module = ("-m", "galileu_pipeline_tests.training.ppo.two_processes")
    done = subprocess.run([*launch, *module, base, output, *checkpoint], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads((output / f"record_{rank}.json").read_text()) for rank in range(2)]


def test_two_processes_share_the_prompts_and_end_alike_also_when_resumed(base: Path, tmp_path: Path) -> None:
    first, second = train(base, tmp_path / "whole")
    assert len(first["questions"]) == len(second["questions"]) == 24  # three rollouts of 8 answers each
    for start in range(0, 24, 8):
        assert not set(first["questions"][start : start + 8]) & set(second["questions"][start : start + 8])
    assert first["rewards"] == second["rewards"] != []
    assert first["evaluated"] == second["evaluated"] == 32
    weights = (tmp_path / "whole" / "weights_0.safetensors").read_bytes()
    assert weights == (tmp_path / "whole" / "weights_1.safetensors").read_bytes()

    resumed = tmp_path / "resumed"
    shutil.copytree(tmp_path / "whole" / "checkpoint-6", resumed / "checkpoint-6")  # in the middle of an update
    train(base, resumed, str(resumed / "checkpoint-6"))
    assert weights == (resumed / "weights_0.safetensors").read_bytes()
