"""The whole pipeline through the real command lines, on the tiny profile."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline_tests.e2e.conftest import Sandbox, make_sandbox

pytestmark = pytest.mark.e2e

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
    "dpo_model",
)


def store(sandbox: Sandbox) -> ArtifactStore:
    return ArtifactStore(DataFolder(sandbox.data), "tiny")


def current(sandbox: Sandbox) -> dict[str, Artifact]:
    return {asset: store(sandbox).current(asset) for asset in ASSETS}


def test_every_asset_is_made_whole(demonstrated: Sandbox) -> None:
    for asset, artifact in current(demonstrated).items():
        assert store(demonstrated).verify(artifact) == [], asset
        assert artifact.manifest.run is not None
        assert artifact.manifest.run.job == "retrain_all"
    assert not list(demonstrated.data.rglob("*.partial"))


def test_lineage_leads_from_the_model_to_the_feedback(demonstrated: Sandbox) -> None:
    made = current(demonstrated)
    seen, queue = set(), [made["dpo_model"]]
    while queue:
        artifact = queue.pop()
        for ref in artifact.manifest.inputs:
            upstream = store(demonstrated).load(ref.id)
            assert upstream.manifest.digest == ref.digest
            seen.add(ref.asset)
            queue.append(upstream)
    assert seen == {"dpo_dataset", "sft_model", "sft_dataset", "base_model", "preference_pairs", "raw_feedback"}


def test_only_safetensors_and_readable_by_all(demonstrated: Sandbox) -> None:
    weights = [
        path for path in (demonstrated.data / "models").rglob("*") if path.suffix in {".bin", ".pt", ".pth", ".pkl"}
    ]
    assert weights == []
    for path in (demonstrated.data / "models").rglob("*.safetensors"):
        assert path.stat().st_mode & 0o044 == 0o044


def test_the_table_compares_each_model_with_the_base_on_the_same_pairs(demonstrated: Sandbox) -> None:
    rows = {row["asset"]: row for row in json.loads((demonstrated.root / "demo.json").read_text())}
    assert set(rows) == {"sft_model", "dpo_model", "reward_model"}
    for row in rows.values():
        assert Path(row["manifest"]).is_file()
        assert row["accuracy"]["n"] == row["base_accuracy"]["n"] >= 20


def test_dpo_beats_sft_and_both_preference_models_beat_chance(demonstrated: Sandbox) -> None:
    rows = {row["asset"]: row for row in json.loads((demonstrated.root / "demo.json").read_text())}
    assert rows["dpo_model"]["accuracy"]["value"] > rows["sft_model"]["accuracy"]["value"]
    assert rows["dpo_model"]["accuracy"]["low"] > 0.5
    assert rows["reward_model"]["accuracy"]["low"] > 0.5


def test_the_sample_gives_the_promised_number_of_pairs(demonstrated: Sandbox) -> None:
    metrics = current(demonstrated)["preference_pairs"].manifest.metrics
    assert metrics["pairs"] >= 200
    assert metrics["from_choices"] + metrics["from_both"] > 0


def test_every_row_of_the_sample_is_accounted_for(demonstrated: Sandbox) -> None:
    counts = current(demonstrated)["raw_feedback"].manifest.metrics
    with sqlite3.connect(demonstrated.data / "feedback" / "feedback.db") as connection:
        rows = sum(
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("feedback", "preference_pairs")
        )
    assert counts["rows_in"] == rows
    assert counts["accepted"] + counts["quarantined"] + counts["duplicates"] == rows
    assert counts["quarantined"] == 9
    assert counts["duplicates"] == 5
    assert counts["repaired"] >= 10


def test_the_bare_dagster_command_works_word_for_word_and_reuses(demonstrated: Sandbox) -> None:
    before = current(demonstrated)["dpo_model"].manifest
    for command in ("dagster asset materialize --select dpo_model", "dg launch --assets dpo_model"):
        done = demonstrated.shell(command)
        assert done.returncode == 0, done.stderr
    assert current(demonstrated)["dpo_model"].manifest == before  # the same artifact, not a new one of the same id


def test_a_missing_upstream_is_named(sandbox: Sandbox) -> None:
    done = sandbox.shell("dagster asset materialize --select dpo_model")
    assert done.returncode != 0
    assert "`base_model` has not been materialized with profile `tiny`" in done.stdout + done.stderr
    assert "dagster asset materialize --select base_model" in done.stdout + done.stderr


def test_the_same_inputs_give_the_same_digests_elsewhere(
    demonstrated: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = make_sandbox(tmp_path_factory.mktemp("again"))
    assert other.galileu("demo").returncode == 0
    one, two = current(demonstrated), current(other)
    assert {asset: artifact.manifest.digest for asset, artifact in one.items()} == {
        asset: artifact.manifest.digest for asset, artifact in two.items()
    }


def test_force_trains_again_and_gives_the_same_adapter(demonstrated: Sandbox) -> None:
    before = current(demonstrated)["sft_model"].manifest
    config = json.dumps({"ops": {"sft_model": {"config": {"force": True}}}})
    done = demonstrated.shell(f"dagster asset materialize --select sft_model --config-json '{config}'")
    assert done.returncode == 0, done.stderr
    after = current(demonstrated)["sft_model"].manifest
    assert after.run != before.run
    assert after.files["adapter_model.safetensors"] == before.files["adapter_model.safetensors"]


def test_new_feedback_reaches_the_pairs(demonstrated: Sandbox, tmp_path: Path) -> None:
    box = make_sandbox(tmp_path)
    feedback = box.data / "feedback" / "feedback.db"
    feedback.parent.mkdir(parents=True)
    feedback.write_bytes((demonstrated.data / "feedback" / "feedback.db").read_bytes())
    select = "dagster asset materialize --select raw_feedback,preference_pairs"
    assert box.shell(select).returncode == 0
    before = current_pairs(box)
    with sqlite3.connect(feedback) as connection:
        connection.execute(
            "INSERT INTO preference_pairs (timestamp, query, response_chosen, response_rejected)"
            " VALUES ('2026-11-01T12:00:00Z', 'Uma pergunta nova?', 'Uma boa resposta.', 'Uma resposta ruim.')"
        )
    assert box.shell(select).returncode == 0
    assert current_pairs(box) == before + 1


def current_pairs(box: Sandbox) -> int:
    pairs: int = store(box).current("preference_pairs").manifest.metrics["pairs"]
    return pairs


def test_too_few_pairs_block_the_training(sandbox: Sandbox) -> None:
    feedback = sandbox.data / "feedback" / "feedback.db"
    feedback.parent.mkdir(parents=True)
    with sqlite3.connect(feedback) as connection:
        connection.execute("CREATE TABLE feedback (query TEXT, response TEXT, rating INTEGER, thumbs_up BOOLEAN)")
        connection.executemany(
            "INSERT INTO feedback VALUES ('Quem é você?', ?, ?, NULL)", [("Sou Galileu.", 5), ("Não sei.", 1)]
        )
    done = sandbox.galileu("demo")
    assert done.returncode == 1
    assert "pairs to train on (at least" in done.stderr
    assert not (sandbox.data / "models").is_dir() or not list((sandbox.data / "models").glob("dpo_model-*"))


def test_a_misspelt_override_is_refused_by_name(demonstrated: Sandbox) -> None:
    config = json.dumps({"ops": {"dpo_model": {"config": {"overrides": {"learning_rat": 0.1}}}}})
    done = demonstrated.shell(f"dagster asset materialize --select dpo_model --config-json '{config}'")
    assert done.returncode != 0
    assert "overrides of stage dpo: learning_rat: Extra inputs are not permitted" in done.stdout + done.stderr


def test_stats_models_generate(demonstrated: Sandbox) -> None:
    stats = json.loads(demonstrated.galileu("stats", "--json").stdout)
    assert stats["totals"]["questions"] >= 250
    assert demonstrated.galileu("stats").returncode == 0

    models: list[dict[str, Any]] = json.loads(demonstrated.galileu("models", "--json").stdout)
    assert {model["asset"] for model in models if model["current"]} == {
        "base_model",
        "sft_model",
        "reward_model",
        "dpo_model",
    }
    by_asset = {model["asset"]: model["id"] for model in models}

    for name in ("base_model", by_asset["dpo_model"]):
        spoken = demonstrated.galileu("generate", name, "Quem é você?", "--max-new-tokens", "8", "--json")
        assert spoken.returncode == 0, spoken.stderr
        answer = json.loads(spoken.stdout)
        assert answer["model"] in (by_asset["base_model"], by_asset["dpo_model"])
        assert isinstance(answer["answer"], str)  # a toy may well choose to say nothing

    refused = demonstrated.galileu("generate", by_asset["reward_model"], "Quem é você?")
    assert refused.returncode == 2
    assert "does not generate text" in refused.stderr


def test_exit_codes_and_messages(sandbox: Sandbox) -> None:
    missing = sandbox.galileu("stats")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "`feedback_analytics` has not been materialized" in missing.stderr
    assert sandbox.galileu("generate", "../../etc-passwd", "x").returncode == 2
    assert sandbox.galileu("no-such-command").returncode == 2
    unknown = sandbox.galileu("models", GALILEU_PROFILE="huge")
    assert unknown.returncode == 2
    assert "GALILEU_PROFILE takes one of: cpu" in unknown.stderr
    doctor = sandbox.galileu("doctor", "--json")
    assert doctor.returncode == 0, doctor.stderr
    assert {fit["profile"]: fit["fits"] for fit in json.loads(doctor.stdout)["profiles"]}["tiny"] is True
