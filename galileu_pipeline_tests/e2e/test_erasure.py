"""A person asks to be forgotten."""

import json
import shutil
from pathlib import Path

import pytest

from galileu_pipeline.lineage.verification import verify
from galileu_pipeline_tests.e2e.sandbox import (
    MARKED,
    Sandbox,
    artifacts_of,
    current,
    make_sandbox,
)

pytestmark = pytest.mark.e2e


def test_a_person_is_erased_from_everything_but_weights(demonstrated: Sandbox, tmp_path: Path) -> None:
    box = make_sandbox(tmp_path)
    shutil.copytree(demonstrated.root, box.root, dirs_exist_ok=True)
    learnt = {artifact.id for asset, artifact in current(box).items() if asset.endswith("_model")}
    learnt -= {current(box)["base_model"].id}
    assert files_with_marked_texts(box)

    done = box.galileu("erase", "--user", "marta", "--no-retrain", "--json")
    assert done.returncode == 0, done.stderr
    erased = json.loads(done.stdout)
    assert erased["tainted"].keys() == learnt
    assert erased["ingested"] == {"feedback": 10, "feedback_choices": 10}
    assert files_with_marked_texts(box) == []
    assert verify(artifacts_of(box)) == []
    assert "There is no feedback of" in box.galileu("erase", "--user", "marta").stderr

    done = box.shell("dagster asset materialize --select '*dpo_model'")
    assert done.returncode == 0, done.stderr
    models = json.loads(box.galileu("models", "--json").stdout)
    assert {model["id"] for model in models if model["tainted"]} == learnt
    assert {model["asset"] for model in models if model["current"] and not model["tainted"]} >= {
        "sft_model",
        "dpo_model",
    }
    assert files_with_marked_texts(box) == []


def files_with_marked_texts(box: Sandbox) -> list[Path]:
    """In the data folder, models' weights apart, and in what Dagster keeps."""
    return [
        path
        for path in box.root.rglob("*")
        if path.is_file()
        and path.suffix != ".safetensors"
        and any(text.encode() in path.read_bytes() for text in MARKED)
    ]
