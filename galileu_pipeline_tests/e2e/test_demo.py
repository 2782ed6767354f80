"""The whole pipeline through the real command lines, on the tiny profile."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.verification import verify
from galileu_pipeline.training.settings import StageName
from galileu_pipeline_tests.e2e.sandbox import MARKED, TIMEOUT_S, Sandbox, give_sample_feedback, make_sandbox

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
    "ppo_model",
)


def store(sandbox: Sandbox) -> ArtifactStore:
    return ArtifactStore(DataFolder(sandbox.data), "tiny")


def current(sandbox: Sandbox) -> dict[str, Artifact]:
    return {asset: store(sandbox).current(asset) for asset in ASSETS}


def test_every_asset_is_made_whole(demonstrated: Sandbox) -> None:
    for asset, artifact in current(demonstrated).items():
        assert verify(store(demonstrated), artifact.id) == [], asset
        assert artifact.manifest.run is not None
        assert artifact.manifest.run.job == "retrain_all"
    assert not list(demonstrated.data.rglob("*.partial"))


def test_no_other_machine_is_told_of_the_demo(demonstrated: Sandbox) -> None:
    watched = "\n".join(demonstrated.network.watched())
    for process in ("dagster job execute", *(f"training {stage}" for stage in get_args(StageName)), "evaluation"):
        assert process in watched
    assert demonstrated.network.attempts() == []


# What hangs on a question that has a pair, or an answer good enough to imitate, counted without what datasets record.
ROWS_BEHIND_DPO = """
SELECT count(DISTINCT feedback_id)
FROM (SELECT feedback_id, query_key FROM feedback UNION ALL SELECT feedback_id, query_key FROM feedback_choices)
WHERE feedback_id NOT IN (SELECT feedback_id FROM set_aside)
    AND query_key IN (
        SELECT query_key FROM preference_pairs
        UNION
        SELECT query_key FROM answers WHERE score >= 0.75
    )
"""


def test_lineage_leads_from_the_model_to_the_feedback(demonstrated: Sandbox) -> None:
    done = demonstrated.galileu("lineage", "dpo_model", "--depth", "feedback", "--json")
    assert done.returncode == 0, done.stderr
    origin = json.loads(done.stdout)
    made_of = {node["asset"]: node["id"] for node in origin["nodes"] if node["relation"] == "ancestor"}
    assert made_of == {
        asset: current(demonstrated)[asset].id
        for asset in ("dpo_dataset", "sft_model", "sft_dataset", "base_model", "preference_pairs", "raw_feedback")
    }
    rows = {source["feedback_id"] for items in origin["items"].values() for item in items for source in item["sources"]}
    with Warehouse(demonstrated.data / "galileu.duckdb").open() as connection:
        ((expected,),) = connection.execute(ROWS_BEHIND_DPO).fetchall()
    assert len(rows) == origin["feedback"]["rows"] == expected > 1000


def test_lineage_leads_from_a_person_to_every_model(demonstrated: Sandbox) -> None:
    done = demonstrated.galileu("lineage", "--user", "marta", "--json")
    assert done.returncode == 0, done.stderr
    made = {node["id"] for node in json.loads(done.stdout)["made_from"]}
    models = current(demonstrated)
    assert {models[asset].id for asset in ("sft_model", "reward_model", "dpo_model", "ppo_model")} <= made


def test_a_person_is_erased_from_everything_but_weights(demonstrated: Sandbox, tmp_path: Path) -> None:
    box = make_sandbox(tmp_path)
    shutil.copytree(demonstrated.root, box.root, dirs_exist_ok=True)
    learnt = {current(box)[asset].id for asset in ("sft_model", "reward_model", "dpo_model", "ppo_model")}
    assert files_with_marked_texts(box)

    done = box.galileu("erase", "--user", "marta", "--no-retrain", "--json")
    assert done.returncode == 0, done.stderr
    erased = json.loads(done.stdout)
    assert erased["tainted"].keys() == learnt
    assert erased["ingested"] == {"feedback": 10, "feedback_choices": 10}
    assert files_with_marked_texts(box) == []
    assert verify(store(box)) == []
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


def test_only_safetensors_and_readable_by_all(demonstrated: Sandbox) -> None:
    weights = [
        path for path in (demonstrated.data / "models").rglob("*") if path.suffix in {".bin", ".pt", ".pth", ".pkl"}
    ]
    assert weights == []
    for path in (demonstrated.data / "models").rglob("*.safetensors"):
        assert path.stat().st_mode & 0o044 == 0o044


def test_the_table_compares_each_model_with_the_base_on_the_same_pairs(demonstrated: Sandbox) -> None:
    rows = {row["asset"]: row for row in json.loads((demonstrated.root / "demo.json").read_text())}
    assert set(rows) == {"sft_model", "dpo_model", "reward_model", "ppo_model"}
    for row in rows.values():
        assert Path(row["manifest"]).is_file()
        assert row["accuracy"]["n"] == row["base_accuracy"]["n"] >= 20


def test_dpo_beats_sft_and_both_preference_models_beat_chance(demonstrated: Sandbox) -> None:
    rows = {row["asset"]: row for row in json.loads((demonstrated.root / "demo.json").read_text())}
    assert rows["dpo_model"]["accuracy"]["value"] > rows["sft_model"]["accuracy"]["value"]
    assert rows["dpo_model"]["accuracy"]["low"] > 0.5
    assert rows["reward_model"]["accuracy"]["low"] > 0.5


def test_ppo_earns_more_reward_than_sft_and_stays_near_it(demonstrated: Sandbox) -> None:
    rows = {row["asset"]: row for row in json.loads((demonstrated.root / "demo.json").read_text())}
    assert rows["ppo_model"]["reward_gain"]["low"] > 0
    metrics = current(demonstrated)["ppo_model"].manifest.metrics
    assert metrics["held_out_answers"]["ppo_model"]["kl"]["value"] < metrics["kl_target"]


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
    give_sample_feedback(other)
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


def test_a_model_is_made_again_from_its_manifest(demonstrated: Sandbox) -> None:
    done = demonstrated.galileu("reproduce", "dpo_model", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["same"], found["same_code"]) == (True, True)
    assert found["digest"] == current(demonstrated)["dpo_model"].manifest.digest


def test_verify_finds_a_flipped_bit_in_any_file_of_a_model(demonstrated: Sandbox, tmp_path: Path) -> None:
    assert demonstrated.galileu("verify").returncode == 0
    box = make_sandbox(tmp_path)
    shutil.copytree(demonstrated.data, box.data)
    model = current(box)["dpo_model"]
    for name in model.manifest.files:
        path = model.path / name
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        assert [(fault.kind, fault.subject) for fault in verify(store(box), model.id)] == [("changed file", name)]
        path.write_bytes(whole)
    (model.path / "README.md").unlink()
    done = box.galileu("verify", model.id)
    assert done.returncode == 1
    assert "missing file" in done.stdout


def test_a_killed_run_goes_on_from_its_last_checkpoint(demonstrated: Sandbox) -> None:
    def command(**config: Any) -> str:
        overrides = {"save_steps": 1, "max_steps": 8, "eval_steps": 8}
        run = json.dumps({"ops": {"ppo_model": {"config": {"overrides": overrides, **config}}}})
        return f"dagster asset materialize --select ppo_model --config-json '{run}'"

    killed = demonstrated.start(command())
    try:
        wait_for_checkpoint(demonstrated, killed)
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    before = current(demonstrated)["ppo_model"]

    done = demonstrated.shell(command())
    assert done.returncode == 0, done.stderr
    resumed = current(demonstrated)["ppo_model"].manifest
    assert resumed.id != before.id
    assert resumed.resumed_from is not None

    done = demonstrated.shell(command(force=True))
    assert done.returncode == 0, done.stderr
    whole = current(demonstrated)["ppo_model"].manifest
    assert whole.resumed_from is None
    assert whole.files["adapter_model.safetensors"] == resumed.files["adapter_model.safetensors"]
    assert whole.metrics == resumed.metrics
    assert not list((demonstrated.data / "checkpoints").rglob("checkpoint-*"))


def test_a_terminated_run_saves_its_step_and_the_next_one_goes_on(demonstrated: Sandbox, tmp_path: Path) -> None:
    """SIGTERM to the command alone, as Kubernetes and Slurm send it to the process in front."""
    box = make_sandbox(tmp_path)
    shutil.copytree(demonstrated.data, box.data)
    overrides = {"save_steps": 4, "epochs": 6, "eval_steps": 1000}
    config = json.dumps({"ops": {"sft_model": {"config": {"overrides": overrides}}}})
    command = f"exec dagster asset materialize --select sft_model --config-json '{config}'"
    log = tmp_path / "terminated.log"
    with log.open("wb") as output:
        told = box.start(command, output)
        try:
            wait_for_checkpoint(box, told)
            told.terminate()
            assert told.wait(TIMEOUT_S) != 0
        finally:
            told.kill()
    said = re.search(r"saved step (\d+) of .*Materialize sft_model again", log.read_text())
    assert said is not None

    done = box.shell(command)
    assert done.returncode == 0, done.stderr
    manifest = current(box)["sft_model"].manifest
    assert manifest.resumed_from == f"checkpoint-{said[1]}"
    assert manifest.environment["resumes"] == 1


def wait_for_checkpoint(box: Sandbox, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not list((box.data / "checkpoints").rglob("checkpoint-*/complete")):
        assert process.poll() is None, "it ended before it had written a checkpoint"
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
        "ppo_model",
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
