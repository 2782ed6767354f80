"""A data folder and a Dagster home of their own, and the project's commands run as a user runs them."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.environment import DEFAULTS
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline_tests.e2e.network import NetworkGuard

ROOT = Path(__file__).resolve().parents[2]

# What env.sh and the package set is under test too, so it is not inherited.
INHERITED = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("DAGSTER_", "GALILEU_")) and name not in DEFAULTS
}

# Slower than any machine should be; a command that hangs must not hang the tests.
TIMEOUT_S = 600


@dataclass(frozen=True)
class Sandbox:
    """The environment that env.sh sets up, pointing at a temporary folder, on the `tiny` profile."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def network(self) -> NetworkGuard:
        """Watches what is started with its environment."""
        return NetworkGuard(self.root / "network.jsonl")

    @property
    def data(self) -> Path:
        return self.root / "data"

    def run(self, *command: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**INHERITED, **self.environment, **extra},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def shell(self, script: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """`script` in a shell that has sourced env.sh."""
        return self.run("sh", "-c", f". ./env.sh && {script}", **extra)

    def start(self, script: str, output: int | IO[bytes] = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """`script` in a shell that has sourced env.sh, as the leader of a process group; it is not waited for."""
        return subprocess.Popen(
            ["sh", "-c", f". ./env.sh && {script}"],
            cwd=ROOT,
            env={**INHERITED, **self.environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def galileu(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(Path(sys.executable).with_name("galileu")), *arguments, **extra)


def make_sandbox(root: Path) -> Sandbox:
    return Sandbox(
        root,
        {
            "GALILEU_DATA_DIR": str(root / "data"),
            "GALILEU_PROFILE": "tiny",
            "GALILEU_DAGSTER_STATE": str(root / "dagster"),
            # Two folders with one key call people alike, so that what is made in them can be compared.
            "GALILEU_PSEUDONYM_KEY": "a key that all sandboxes share",
        },
    )


MARKED = [f"Segredo da Marta, número {number}: zurbaran." for number in range(20)]
"""Sentences that nobody but Marta writes."""


def copy_of(box: Sandbox, root: Path) -> Sandbox:
    """Another one with the same data, for what changes it."""
    other = make_sandbox(root)
    shutil.copytree(box.data, other.data)
    return other


def give_sample_feedback(box: Sandbox) -> None:
    """The sample, and feedback of one more person, `marta`, with a marked sentence in each row."""
    feedback = box.data / "feedback" / "feedback.db"
    done = box.run(sys.executable, str(ROOT / "data" / "sample" / "build_feedback.py"), str(feedback))
    assert done.returncode == 0, done.stderr
    votes = [
        (f"marta-{number}", f"{text} O que acha?", "Acho que sim, com a luneta eu vi.", 5, text)
        for number, text in enumerate(MARKED[:10])
    ]
    choices = [
        (f"marta-{number}", f"Pergunta {number} da Marta?", text, "Não sei.", text)
        for number, text in enumerate(MARKED[10:], start=10)
    ]
    with closing(sqlite3.connect(feedback)) as connection, connection:
        connection.executemany(
            "INSERT INTO feedback (timestamp, user_id, feedback_id, query, response, rating, comment)"
            " VALUES ('2026-10-30T12:00:00Z', 'marta', ?, ?, ?, ?, ?)",
            votes,
        )
        connection.executemany(
            "INSERT INTO preference_pairs"
            " (timestamp, user_id, feedback_id, query, response_chosen, response_rejected, reason)"
            " VALUES ('2026-10-30T12:00:00Z', 'marta', ?, ?, ?, ?, ?)",
            choices,
        )


ASSETS = (
    "raw_feedback",
    "feedback_analytics",
    "preference_pairs",
    "dpo_dataset",
    "reward_dataset",
    "sft_dataset",
    "base_model",
    "sft_model",
    "reward_model",
    "control_reward_model",
    "dpo_model",
    "ppo_model",
)


def artifacts_of(box: Sandbox) -> ArtifactStore:
    return ArtifactStore(DataFolder(box.data), "tiny")


def current(box: Sandbox) -> dict[str, Artifact]:
    """What the demo makes, by asset."""
    return {asset: artifacts_of(box).current(asset) for asset in ASSETS}
