"""A data folder and a Dagster home of their own, and the project's commands run as a user runs them."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# env.sh is under test too, so what it exports is not inherited.
INHERITED = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "GALILEU_"))}

# Slower than any machine should be; a command that hangs must not hang the tests.
TIMEOUT_S = 600


@dataclass(frozen=True)
class Sandbox:
    """The environment that env.sh sets up, pointing at a temporary folder, on the `tiny` profile."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

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


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """An empty one for each test."""
    return make_sandbox(tmp_path)


@pytest.fixture(scope="session")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """One on which `galileu demo` has run, shared by the tests that only read it or add to it."""
    box = make_sandbox(tmp_path_factory.mktemp("demonstrated"))
    done = box.galileu("demo", "--json")
    assert done.returncode == 0, done.stderr
    (box.root / "demo.json").write_text(done.stdout, encoding="utf-8")
    (box.root / "demo.log").write_text(done.stderr, encoding="utf-8")
    return box
