"""What Dagster sees."""

import tomllib
from typing import Any

import dagster as dg
import pytest
import yaml

from galileu_pipeline.data_folder import PROJECT_ROOT
from galileu_pipeline.definitions import defs
from galileu_pipeline.lineage.stage_versions import code_version

GROUPS = {
    "feedback": {"raw_feedback", "feedback_analytics"},
    "datasets": {"preference_pairs", "dpo_dataset", "reward_dataset", "sft_dataset"},
    "models": {"base_model", "sft_model", "reward_model", "control_reward_model", "dpo_model", "ppo_model"},
    "evaluation": {"model_evaluation", "champion_model"},
}
UPSTREAM = {
    "preference_pairs": {"raw_feedback"},
    "dpo_dataset": {"preference_pairs"},
    "reward_dataset": {"preference_pairs"},
    "sft_dataset": {"preference_pairs"},
    "sft_model": {"base_model", "sft_dataset"},
    "reward_model": {"base_model", "sft_model", "reward_dataset"},
    "control_reward_model": {"base_model", "sft_model", "reward_dataset"},
    "dpo_model": {"base_model", "sft_model", "dpo_dataset"},
    "ppo_model": {"base_model", "sft_model", "reward_model", "reward_dataset", "sft_dataset"},
    "model_evaluation": {*GROUPS["models"], "reward_dataset"},
    "champion_model": {"model_evaluation"},
}
BLOCKING = {
    "every_row_accounted_for",
    "chosen_differs_from_rejected",
    "no_person_steers_the_model",
    "no_query_in_both_splits",
    "enough_pairs_to_train_on",
}


@pytest.fixture(scope="module")
def graph() -> Any:
    return defs.resolve_asset_graph()


def test_assets_and_groups(graph: Any) -> None:
    found: dict[str, set[str]] = {}
    for key in graph.get_all_asset_keys():
        found.setdefault(graph.get(key).group_name, set()).add(key.to_user_string())
    assert found == GROUPS


@pytest.mark.parametrize(("asset", "upstream"), UPSTREAM.items())
def test_upstream(graph: Any, asset: str, upstream: set[str]) -> None:
    assert {key.to_user_string() for key in graph.get(dg.AssetKey(asset)).parent_keys} == upstream


def test_the_checks_that_protect_the_training_block(graph: Any) -> None:
    blocking = {key.name for key in graph.asset_check_keys if graph.get(key).blocking}
    assert blocking == BLOCKING


def test_too_few_pairs_fail_no_refresh_but_every_training() -> None:
    asks = {
        name: any(
            key.name == "enough_pairs_to_train_on"
            for key in defs.resolve_job_def(name).asset_layer.asset_graph.asset_check_keys
        )
        for name in ("refresh_feedback", "train_dpo", "train_ppo", "retrain_all")
    }
    assert asks == {"refresh_feedback": False, "train_dpo": True, "train_ppo": True, "retrain_all": True}


def test_every_asset_says_what_it_is(graph: Any) -> None:
    for key in graph.get_all_asset_keys():
        assert graph.get(key).description, key


def test_every_asset_is_stale_after_an_upgrade_of_its_stage(graph: Any) -> None:
    stages = {"champion_model": "promotion_decision"}
    for key in graph.get_all_asset_keys():
        name = key.to_user_string()
        assert graph.get(key).code_version == code_version(stages.get(name, name))


def test_one_writer_of_the_warehouse_and_one_training_at_a_time(graph: Any) -> None:
    pools = {key.to_user_string(): graph.get(key).pools for key in graph.get_all_asset_keys()}
    assert {name for name, used in pools.items() if "warehouse" in used} == {
        "raw_feedback",
        "feedback_analytics",
        "preference_pairs",
    }
    assert {name for name, used in pools.items() if "training" in used} == {*GROUPS["models"], "model_evaluation"}


def test_the_code_location_has_one_name() -> None:
    """`dg` and `dagster dev` read pyproject.toml, other tools workspace.yaml; a run queued under one must be found."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dg"]["project"]
    (location,) = yaml.safe_load((PROJECT_ROOT / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    assert project["code_location_name"] == location["python_module"]["location_name"]
    assert project["code_location_target_module"] == location["python_module"]["module_name"]
