"""A few of the crashes that `benchmarks/crash.py` has hundreds of."""

import re
import subprocess
import sys

import pytest

from galileu_pipeline_tests.e2e.sandbox import INHERITED, ROOT, TIMEOUT_S

pytestmark = pytest.mark.e2e


def crash(*arguments: str) -> str:
    command = [sys.executable, "benchmarks/crash.py", *arguments]
    environment = {**INHERITED, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_killed_trainings_end_as_if_nothing_had_been() -> None:
    said = crash("--kills", "6", "--seed", "1")
    figures = re.search(r"^6 kills .* digests equal (\d+) of (\d+), at most (\d) steps redone", said)
    assert figures is not None, said
    assert figures[1] == figures[2]
    assert int(figures[3]) <= 2


def test_writes_that_fail_are_explained_and_harm_nothing() -> None:
    said = crash("--full-disk", "--stages", "sft", "--every", "12")
    figures = re.search(r"^(\d+) failed writes, each explained; digests equal (\d+) of", said)
    assert figures is not None, said
    assert figures[1] == figures[2]
