"""Trainings on two processes (gloo), as `accelerate launch` starts them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from galileu_pipeline_tests.training.conftest import build_tiny

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@dataclass(frozen=True)
class Launched:
    """What both processes left, and what each told of itself."""

    folder: Path
    records: list[dict[str, Any]]

    def weights(self, training: str) -> list[bytes]:
        return [(self.folder / training / f"weights_{rank}.safetensors").read_bytes() for rank in range(2)]


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Launched:
    """One launch for all tests: the processes need longer to start than to train."""
    folder = tmp_path_factory.mktemp("two")
    base = build_tiny(folder / "base", hidden_size=128)
    launch = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    module = ("-m", "galileu_pipeline_tests.training.two_processes", base, folder)
    done = subprocess.run([*launch, *module], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return Launched(folder, [json.loads((folder / f"record_{rank}.json").read_text()) for rank in range(2)])


def test_ppo_shares_the_prompts_and_ends_alike_also_when_resumed(launched: Launched) -> None:
    first, second = (record["whole"] for record in launched.records)
    assert len(first["questions"]) == len(second["questions"]) == 24  # three rollouts of 8 answers each
    for start in range(0, 24, 8):
        assert not set(first["questions"][start : start + 8]) & set(second["questions"][start : start + 8])
    assert first["rewards"] == second["rewards"] != []
    assert first["evaluated"] == second["evaluated"] == 32
    weights, *others = (*launched.weights("ppo"), *launched.weights("ppo_resumed"))
    assert others == [weights] * 3


def test_all_end_alike_also_where_one_cannot_write(launched: Launched) -> None:
    first, second = (record["writers"] for record in launched.records)
    # Both curves hold means over the processes, whose sums since the last point of the curves are not alike.
    assert first["resumed"] == first["whole"] != []
    assert [failure.split(":")[0] for failure in first["failures"]] == ["OSError"] * 3
    assert [failure.split(" failed")[0] for failure in second["failures"]] == ["StageError: Process 0"] * 3
