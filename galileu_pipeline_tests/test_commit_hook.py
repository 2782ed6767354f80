"""The hook before commits, in a clone of its own, with tools that only look for a word."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Of these words, `ruff check` dislikes the first, `ruff format` the second, `mypy` the third.
TOOLS = {
    "ruff": 'case "$1" in check) word=lint ;; *) word=ugly ;; esac; ! grep -q $word ./*.py',
    "mypy": "! grep -q untyped ./*.py",
}
ANA = {f"GIT_{role}_{field}": "ana@example.org" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


class Clone:
    """A clone with one commit, and the hook where `make hooks` has put it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.environment = {**outside, **ANA, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        shutil.copytree(ROOT / ".githooks", folder / ".githooks")
        shutil.copy(ROOT / "Makefile", folder)
        (folder / ".gitignore").write_text(".venv/\n")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def init(self) -> None:
        self.run("git", "init", "--quiet")
        assert self.run("make", "hooks").returncode == 0
        self.run("git", "add", ".")
        assert self.run("git", "commit", "-m", "first").returncode == 0

    def install_tools(self) -> None:
        folder = self.folder / ".venv" / "bin"
        folder.mkdir(parents=True)
        for name, script in TOOLS.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)

    def commit(self, name: str, text: str) -> subprocess.CompletedProcess[str]:
        (self.folder / name).write_text(text)
        self.run("git", "add", name)
        return self.run("git", "commit", "-m", name)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone(tmp_path)
    clone.init()
    clone.install_tools()
    return clone


@pytest.mark.parametrize("fault", ["lint", "ugly", "untyped"])
def test_what_a_tool_dislikes_is_not_committed(clone: Clone, fault: str) -> None:
    assert clone.commit("module.py", fault).returncode != 0
    assert clone.commit("module.py", "mended").returncode == 0
    assert clone.run("git", "commit", "--allow-empty", "--no-verify", "-m", "at will").returncode == 0


def test_what_is_staged_counts_and_nothing_else(clone: Clone) -> None:
    assert clone.commit("module.py", "fine").returncode == 0
    (clone.folder / "module.py").write_text("lint")
    (clone.folder / "untracked.py").write_text("untyped")
    assert clone.commit("other.py", "fine").returncode == 0
    clone.run("git", "add", "module.py")
    (clone.folder / "module.py").write_text("mended, but not staged")
    assert clone.run("git", "commit", "-m", "half").returncode != 0


def test_texts_are_not_checked(clone: Clone) -> None:
    (clone.folder / "module.py").write_text("lint")
    clone.run("git", "add", "module.py")
    assert clone.run("git", "commit", "--no-verify", "-m", "at will").returncode == 0
    assert clone.commit("README.md", "lint").returncode == 0


def test_without_the_tools_it_says_so_and_lets_pass(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.init()
    done = clone.commit("module.py", "lint")
    assert done.returncode == 0
    assert "make setup-dev" in done.stderr


def test_a_folder_without_git_is_left_alone(tmp_path: Path) -> None:
    assert Clone(tmp_path).run("make", "hooks").returncode == 0
    assert not (tmp_path / ".git").exists()


def test_somebodys_own_hooks_stay(clone: Clone) -> None:
    clone.run("git", "config", "core.hooksPath", "mine")
    assert clone.run("make", "hooks").returncode == 0
    assert clone.run("git", "config", "core.hooksPath").stdout == "mine\n"
