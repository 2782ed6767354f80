"""Commands that show little start at once: they import no library that they do not need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.lineage.artifacts import ArtifactStore
from galileu_pipeline_tests.lineage.making import make

SLOW = {
    *("dagster", "datasets", "duckdb", "gradio", "matplotlib", "numpy", "openlineage", "pandas", "peft", "pyarrow"),
    *("requests", "scipy", "torch", "transformers", "trl", "yaml"),
}
ACCURACY = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 70}

RUN = """
import json, sys
from galileu_pipeline.cli import main
try:
    main()
except SystemExit as exit:
    print(json.dumps({"code": exit.code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


def run(data: Path, *arguments: str) -> tuple[str, set[str]]:
    """What a command prints, and the libraries that were imported for it."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env={**os.environ, "GALILEU_DATA_DIR": str(data), "GALILEU_PROFILE": "tiny"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] in (0, None), done.stderr
    return done.stdout, {name.split(".")[0] for name in told["modules"]}


def test_importing_the_commands_imports_no_model_of_pydantic() -> None:
    code = "import json, sys, galileu_pipeline.cli; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = json.loads(done.stdout)
    assert not SLOW & {name.split(".")[0] for name in modules}
    assert "pydantic" not in modules
    assert not [name for name in modules if name.startswith(("galileu_pipeline.lineage", "galileu_pipeline.feedback"))]


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("--help",), ("models", "--help"), ("import", "--help"), ("erase", "--help"), ("champion",)],
    ids=" ".join,
)
def test_what_needs_no_library_imports_none(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    printed, libraries = run(tmp_path, *arguments)
    assert printed
    assert not SLOW & libraries


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
def test_models_are_listed_without_the_libraries_that_made_them(tmp_path: Path, options: tuple[str, ...]) -> None:
    store = ArtifactStore(DataFolder(tmp_path), "tiny")
    base = make(store, "base_model", profile="tiny")
    metrics = {"preference_accuracy": {"dpo_model": ACCURACY}}
    dpo = make(store, "dpo_model", base, profile="tiny", metrics=metrics)
    printed, libraries = run(tmp_path, "models", *options)
    assert dpo.manifest.asset in printed
    assert "0.8" in printed
    assert not SLOW & libraries
