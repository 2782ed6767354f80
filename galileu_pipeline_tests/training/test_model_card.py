"""The model card: metadata that the hub's own library reads, and the same bytes for the same model."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import SettingsError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.profiles.names import profile_names
from galileu_pipeline.profiles.schema import load_profile
from galileu_pipeline.training.model_card import model_card
from galileu_pipeline.training.settings import CONTROL, stage_of_asset

ACCURACY = {"value": 0.625, "low": 0.503, "high": 0.736, "n": 72}
METRICS: dict[str, dict[str, Any]] = {
    "sft_model": {"train_examples": 1234, "eval_loss": 1.25, "eval_token_accuracy": 0.5, "base_eval_loss": 2.5},
    "reward_model": {"preference_accuracy": {"reward_model": ACCURACY}, "reward_rating_rank_correlation": None},
    "control_reward_model": {"preference_accuracy": {"reward_model": ACCURACY}},
    "dpo_model": {"preference_accuracy": {"dpo_model": ACCURACY, "base_model": {**ACCURACY, "value": 0.444}}},
    "ppo_model": {
        "preference_accuracy": {"ppo_model": ACCURACY},
        "held_out_reward": {"gain": {"value": 0.775, "low": 0.369, "high": 1.181, "n": 58}},
    },
}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(tmp_path / "data"), "cpu")


def put(store: ArtifactStore, plan: Plan, **metrics: object) -> Artifact:
    return store.make(plan, lambda folder: Outcome(metrics=metrics)).artifact


def plan_of(store: ArtifactStore, asset: str, profile: str = "cpu", **base: object) -> Plan:
    """As the profile plans that model; `base` overrides where its base model comes from."""
    settings = load_profile(profile)
    inputs = {"base_model": put(store, settings.stage("base", base).plan({}), parameters=135)}
    if asset != "sft_model":
        inputs["sft_model"] = put(store, Plan("sft_model", [inputs["base_model"]], {}))
    dataset = "dpo_dataset" if asset == "dpo_model" else "sft_dataset" if asset == "sft_model" else "reward_dataset"
    inputs[dataset] = put(store, Plan(dataset, [], {}), train=1200, test=72)
    return settings.stage(stage_of_asset(asset), {}, control=asset.startswith(CONTROL)).plan(inputs)  # type: ignore[arg-type]


def load(text: str, folder: Path) -> ModelCard:
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    return ModelCard.load(path)


@pytest.mark.parametrize("asset", METRICS)
def test_the_hubs_library_reads_it_back(store: ArtifactStore, tmp_path: Path, asset: str) -> None:
    plan = plan_of(store, asset)
    text = model_card(plan, METRICS[asset])
    card = load(text, tmp_path)
    base, dataset = plan.inputs[0], plan.inputs[-1]
    assert (card.data.library_name, card.data.license, card.data.language) == ("peft", "apache-2.0", "pt")
    assert card.data.pipeline_tag == ("text-classification" if "reward" in asset else "text-generation")
    assert (card.data.base_model, card.data.datasets) == (base.id, [dataset.id])
    assert {"galileu_pipeline", "lora", stage_of_asset(asset)} <= set(card.data.tags)
    assert ("trl" in card.data.tags) == (asset != "ppo_model")
    (first, *_) = card.data.eval_results
    assert (first.dataset_type, first.dataset_split, first.dataset_revision) == (
        dataset.id,
        "test",
        dataset.manifest.digest,
    )
    assert first.metric_value == (1.25 if asset == "sft_model" else 0.625)
    assert str(card) == text


def test_the_text_says_what_it_was_made_of_and_how_good_it_is(store: ArtifactStore) -> None:
    plan = plan_of(store, "dpo_model")
    text = model_card(plan, METRICS["dpo_model"])
    for item in plan.inputs:
        assert f"| `{item.id}` | `{item.manifest.digest}` |" in text
    assert f"| `{plan.inputs[-1].id}`: train | 1,200 |" in text
    assert "dpo\\_model | 0.625 | 0.503 to 0.736 | 72 |" in text
    assert "The base model's is `apache-2.0`" in text
    assert "`manifest.json`" in text


def test_a_base_of_the_hub_has_its_name(store: ArtifactStore, tmp_path: Path) -> None:
    plan = plan_of(store, "dpo_model", "gpu-40gb")
    card = load(model_card(plan, METRICS["dpo_model"]), tmp_path)
    assert (card.data.base_model, card.data.license) == ("meta-llama/Llama-3.1-8B-Instruct", "llama3.1")
    own = load(model_card(load_profile("gpu-40gb").stage("base", {}).plan({}), {"parameters": 8}), tmp_path)
    assert (own.data.library_name, own.data.eval_results) == ("transformers", None)
    assert own.data.base_model == "meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_has_a_licence_or_needs_none(profile: str) -> None:
    base = load_profile(profile).stage("base", {})
    assert base.plan({}).config["stage"].get("license") or profile == "tiny"


def test_random_weights_have_no_licence_and_no_new_id(tmp_path: Path) -> None:
    plan = load_profile("tiny").stage("base", {}).plan({})
    assert "license" not in plan.config["stage"]
    assert load(model_card(plan, {}), tmp_path).data.license is None
    with pytest.raises(SettingsError, match="license"):
        load_profile("tiny").stage("base", {"license": "mit"})


def test_a_folder_of_this_machine_is_not_told(store: ArtifactStore, tmp_path: Path) -> None:
    from pydantic import TypeAdapter

    from galileu_pipeline.training.settings import BaseSettings

    base: Any = TypeAdapter(BaseSettings).validate_python({"source": "local", "path": str(tmp_path / "secret")})
    plan = Plan("base_model", [], {"profile": "cpu", "stage": base.model_dump(mode="json")}, 0)
    text = model_card(plan, {"parameters": 1})
    assert "secret" not in text
    assert str(tmp_path) not in text
    assert "is not recorded" in text


def test_the_same_model_has_the_same_card(store: ArtifactStore) -> None:
    """Also in another process, where sets and hashes have another order."""
    plan = load_profile("cpu").stage("base", {}).plan({})
    code = (
        "import sys; from galileu_pipeline.profiles.schema import load_profile;"
        "from galileu_pipeline.training.model_card import model_card;"
        "sys.stdout.reconfigure(encoding='utf-8');"
        "print(model_card(load_profile('cpu').stage('base', {}).plan({}), {'parameters': 135}), end='')"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd="/")
    assert elsewhere.stdout.decode() == model_card(plan, {"parameters": 135})


PLANTED = (
    'x\n---\n\n# Boo <script>alert(1)</script> | `code` ``` [a](javascript:b) *b* "q" : {y} &amp; %TAG !!python/name:os'
)


def test_planted_markup_stays_text(store: ArtifactStore, tmp_path: Path) -> None:
    settings = load_profile("gpu-40gb")
    base = put(store, settings.stage("base", {"repo": PLANTED}).plan({}))
    dataset = put(store, Plan("dpo_dataset", [], {}), **{PLANTED: 3})
    plan = Plan("dpo_model", [base, dataset], {"stage": {"lr_scheduler": PLANTED}}, 0)
    text = model_card(plan, {PLANTED: PLANTED, "preference_accuracy": {"dpo_model": ACCURACY}})
    card = load(text, tmp_path)
    assert card.data.base_model == PLANTED.replace("\n", " ")
    assert str(card) == text
    outside = text.partition("## Settings")[0].partition("\n---\n\n")[2]
    assert "<script>" not in outside
    assert "\n# Boo" not in text
    assert "](javascript" not in outside
    block = text.split("```json\n")[1].split("\n```\n")[0]
    assert json.loads(block)["stage"]["lr_scheduler"] == PLANTED
    for line in outside.splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") in (3, 5)


def test_a_licence_is_a_name() -> None:
    with pytest.raises(SettingsError, match="license"):
        load_profile("cpu").stage("base", {"license": "MIT\nx: y"})
