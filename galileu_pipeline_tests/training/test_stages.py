"""Trained stages, in this process, on data a child could learn."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from galileu_pipeline.feedback.datasets import write_examples, write_held_out_answers, write_pairs
from galileu_pipeline.training.backbone import load_tokenizer
from galileu_pipeline.training.dpo import DpoRecipe
from galileu_pipeline.training.generation import generate
from galileu_pipeline.training.reward import RewardRecipe
from galileu_pipeline.training.runner import Recipe, train
from galileu_pipeline.training.scoring import answer_rewards, encode
from galileu_pipeline.training.settings import LoraSettings, Resources, SampleSettings, StageResult, StageSpec
from galileu_pipeline.training.sft import SftRecipe
from galileu_pipeline_tests.training.conftest import build_tiny, say_nothing

GOOD, BAD = "Sim, com a luneta eu vi.", "Futebol e bolo."


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty questions; the good answer and the bad answer are always the same."""
    folder = tmp_path_factory.mktemp("dataset")
    rows = [(f"Você viu a lua número {number}?", "test" if number % 4 == 0 else "train") for number in range(40)]
    pairs = [
        {"pair_id": str(index), "prompt": question, "chosen": GOOD, "rejected": BAD, "split": split}
        for index, (question, split) in enumerate(rows)
    ]
    answers = [
        {"prompt": question, "response": text, "score": score, "split": split, "feedback_ids": ["x"]}
        for question, split in rows
        for text, score in ((GOOD, 1.0), (BAD, 0.0))
    ]
    for name in ("pairs", "examples"):
        (folder / name).mkdir()
    write_pairs(pa.Table.from_pylist(pairs).to_batches(), "", folder / "pairs")
    held_out = [answer for answer in answers if answer["split"] == "test"]
    write_held_out_answers(pa.Table.from_pylist(held_out).to_batches(), "", folder / "pairs")
    write_examples(pa.Table.from_pylist(answers).to_batches(), [], 0.75, "", folder / "examples")
    return folder


def run(
    recipe: type[Recipe[Any]],
    base: Path,
    dataset: Path,
    output: Path,
    adapter: Path | None = None,
    resources: Resources | None = None,
    **settings: object,
) -> StageResult:
    output.mkdir(parents=True)
    stage = {SftRecipe: "sft", RewardRecipe: "reward", DpoRecipe: "dpo"}[recipe]
    spec = StageSpec.model_validate(
        {
            "stage": stage,
            "output": output,
            "settings": {"learning_rate": 0.01, "epochs": 6, "batch_size": 10, "max_length": 128, **settings},
            "lora": LoraSettings(r=8, alpha=16),
            "samples": SampleSettings(prompts=1, max_new_tokens=4),
            "resources": resources or Resources(),
            "base": base,
            "base_id": "base_model-000000000000",
            "adapter": adapter,
            "dataset": dataset,
        }
    )
    return train(recipe, spec, say_nothing)


@pytest.fixture(scope="module")
def sft(tiny_base: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StageResult]:
    output = tmp_path_factory.mktemp("sft") / "out"
    return output, run(SftRecipe, tiny_base, dataset / "examples", output)


def test_sft_lowers_the_held_out_loss(sft: tuple[Path, StageResult]) -> None:
    metrics: Any = sft[1].metrics
    assert metrics["eval_loss"] < 0.7 * metrics["base_eval_loss"]
    assert metrics["train_examples"] == 30
    assert metrics["dropped_too_long"] == 0


def test_sft_leaves_what_the_asset_shows(sft: tuple[Path, StageResult]) -> None:
    log = [json.loads(line) for line in (sft[0] / "training_log.jsonl").read_text().splitlines()]
    assert next(point["step"] for point in log if "loss" in point) == 1
    assert not any("runtime" in name for point in log for name in point)
    (sample,) = json.loads((sft[0] / "samples.json").read_text())
    assert sample["prompt"].startswith("Você viu a lua")


def test_the_adapter_config_is_free_of_paths_and_order(sft: tuple[Path, StageResult]) -> None:
    config = json.loads((sft[0] / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "base_model-000000000000"
    assert config["target_modules"] == sorted(config["target_modules"])


def test_dpo_starts_from_sft_and_learns_the_preference(
    tiny_base: Path, dataset: Path, sft: tuple[Path, StageResult], tmp_path: Path
) -> None:
    result: Any = run(DpoRecipe, tiny_base, dataset / "pairs", tmp_path / "out", adapter=sft[0])
    accuracy = result.metrics["preference_accuracy"]
    assert accuracy["dpo_model"]["value"] == 1.0
    assert accuracy["dpo_model"]["n"] == 10
    assert result.metrics["implicit_reward_accuracy"]["value"] == 1.0
    assert result.metrics["reward_margin"] > 0
    first = json.loads((tmp_path / "out" / "training_log.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(0.6931, abs=1e-3)  # log 2: at the start policy and reference agree
    assert not (tmp_path / "out" / "ref").exists()
    assert load_file(tmp_path / "out" / "adapter_model.safetensors").keys() == (
        load_file(sft[0] / "adapter_model.safetensors").keys()
    )


def test_reward_model_starts_from_sft_and_can_be_loaded_again(
    tiny_base: Path, dataset: Path, sft: tuple[Path, StageResult], tmp_path: Path
) -> None:
    result: Any = run(RewardRecipe, tiny_base, dataset / "pairs", tmp_path / "out", adapter=sft[0])
    assert result.metrics["preference_accuracy"]["reward_model"]["value"] == 1.0
    assert result.metrics["reward_rating_rank_correlation"] > 0.8

    tokenizer = load_tokenizer(tmp_path / "out")
    base = AutoModelForSequenceClassification.from_pretrained(
        tiny_base, num_labels=1, pad_token_id=tokenizer.pad_token_id
    )
    torch.nn.init.zeros_(base.score.weight)  # the saved head must come from the adapter folder
    reward_model = PeftModel.from_pretrained(base, tmp_path / "out")
    prompt = [{"role": "user", "content": "Você viu a lua número 99?"}]
    good, bad = answer_rewards(
        reward_model,
        tokenizer,
        [encode(tokenizer, prompt, [{"role": "assistant", "content": text}], 128) for text in (GOOD, BAD)],
        2,
    )
    assert good > bad


def test_the_same_spec_gives_the_same_bytes(
    tiny_base: Path, dataset: Path, sft: tuple[Path, StageResult], tmp_path: Path
) -> None:
    again = tmp_path / "again"
    result = run(SftRecipe, tiny_base, dataset / "examples", again)
    assert result.metrics == sft[1].metrics
    for file in ("adapter_model.safetensors", "adapter_config.json", "training_log.jsonl", "tokenizer.json"):
        assert (again / file).read_bytes() == (sft[0] / file).read_bytes(), file


def test_examples_that_are_too_long_are_counted(tiny_base: Path, dataset: Path, tmp_path: Path) -> None:
    from galileu_pipeline.errors import StageError

    with pytest.raises(StageError, match="longer than max_length=16"):
        run(SftRecipe, tiny_base, dataset / "examples", tmp_path / "out", max_length=16)


def test_generation_does_not_depend_on_the_batch(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    prompts = [[{"role": "user", "content": text}] for text in ("Oi", "Uma pergunta bem mais longa sobre a Lua?")]
    together = generate(model, tokenizer, prompts, 6)
    assert together == [generate(model, tokenizer, [prompt], 6)[0] for prompt in prompts]


def test_a_4bit_base_trains_too(dataset: Path, tmp_path: Path) -> None:
    """NF4 through bitsandbytes, as the 16 GB profile has it, on the CPU."""
    wide = build_tiny(tmp_path / "base", hidden_size=128)  # bitsandbytes packs blocks of 64 weights
    result: Any = run(SftRecipe, wide, dataset / "examples", tmp_path / "out", resources=Resources(quantization="nf4"))
    assert result.metrics["eval_loss"] < 0.8 * result.metrics["base_eval_loss"]
