"""The whole pipeline through the real command lines, on the tiny profile."""

import json
import sqlite3
from pathlib import Path
from typing import get_args

import pytest

from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.verification import verify
from galileu_pipeline.training.settings import StageName
from galileu_pipeline_tests.e2e.sandbox import Sandbox, artifacts_of, copy_of, current

pytestmark = pytest.mark.e2e


def test_every_asset_is_made_whole(demonstrated: Sandbox) -> None:
    for asset, artifact in current(demonstrated).items():
        assert verify(artifacts_of(demonstrated), artifact.id) == [], asset
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


def test_verify_finds_a_flipped_bit_in_any_file_of_a_model(demonstrated: Sandbox, tmp_path: Path) -> None:
    assert demonstrated.galileu("verify").returncode == 0
    box = copy_of(demonstrated, tmp_path)
    model = current(box)["dpo_model"]
    for name in model.manifest.files:
        path = model.path / name
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        assert [(fault.kind, fault.subject) for fault in verify(artifacts_of(box), model.id)] == [
            ("changed file", name)
        ]
        path.write_bytes(whole)
    (model.path / "README.md").unlink()
    done = box.galileu("verify", model.id)
    assert done.returncode == 1
    assert "missing file" in done.stdout
