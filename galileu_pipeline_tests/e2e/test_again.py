"""What is made again: reused, forced, or from its manifest."""

import json
from pathlib import Path

import pytest

from galileu_pipeline_tests.e2e.sandbox import Sandbox, copy_of, current

pytestmark = pytest.mark.e2e


def test_the_bare_dagster_command_works_word_for_word_and_reuses(demonstrated: Sandbox) -> None:
    before = current(demonstrated)["dpo_model"].manifest
    for command in ("dagster asset materialize --select dpo_model", "dg launch --assets dpo_model"):
        done = demonstrated.shell(command)
        assert done.returncode == 0, done.stderr
    assert current(demonstrated)["dpo_model"].manifest == before  # the same artifact, not a new one of the same id


def test_force_trains_again_and_gives_the_same_adapter(demonstrated: Sandbox, tmp_path: Path) -> None:
    box = copy_of(demonstrated, tmp_path)
    before = current(box)["sft_model"].manifest
    config = json.dumps({"ops": {"sft_model": {"config": {"force": True}}}})
    done = box.shell(f"dagster asset materialize --select sft_model --config-json '{config}'")
    assert done.returncode == 0, done.stderr
    after = current(box)["sft_model"].manifest
    assert after.run != before.run
    assert after.files["adapter_model.safetensors"] == before.files["adapter_model.safetensors"]


@pytest.mark.parametrize("asset", ["dpo_model", "ppo_model"])
def test_a_model_is_made_again_from_its_manifest(demonstrated: Sandbox, asset: str) -> None:
    done = demonstrated.galileu("reproduce", asset, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["same"], found["same_code"]) == (True, True)
    assert found["digest"] == current(demonstrated)[asset].manifest.digest
