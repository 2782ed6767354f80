"""The commands a user types, where all is well and where it is not."""

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from galileu_pipeline_tests.e2e.sandbox import (
    Sandbox,
    artifacts_of,
    make_sandbox,
)

pytestmark = pytest.mark.e2e


def test_a_missing_upstream_is_named(sandbox: Sandbox) -> None:
    done = sandbox.shell("dagster asset materialize --select dpo_model")
    assert done.returncode != 0
    assert "`base_model` has not been materialized with profile `tiny`" in done.stdout + done.stderr
    assert "dagster asset materialize --select base_model" in done.stdout + done.stderr


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
    delivered = box.data / "inbox" / "votes.csv"
    delivered.parent.mkdir()
    delivered.write_text("query,response_chosen,response_rejected\nOutra pergunta nova?,Uma boa resposta.,Uma ruim.\n")
    os.utime(delivered, (0, 0))  # whole for long
    assert box.shell(select).returncode == 0
    assert current_pairs(box) == before + 2
    assert [path.name for path in delivered.parent.rglob("*.csv")] == ["votes.csv"]
    assert not delivered.exists()


def current_pairs(box: Sandbox) -> int:
    pairs: int = artifacts_of(box).current("preference_pairs").manifest.metrics["pairs"]
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
        "control_reward_model",
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
