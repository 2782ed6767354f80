"""Trained stages, in this process, on data a child could learn."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerBase,
    Trainer,
)

from galileu_pipeline.errors import OutOfMemoryError, StoppedError
from galileu_pipeline.feedback.pairing.datasets import write_examples, write_held_out_answers, write_pairs
from galileu_pipeline.training.backbone import load_policy, load_reward_model_beside, load_tokenizer
from galileu_pipeline.training.checkpoints import last_checkpoint
from galileu_pipeline.training.dpo import DpoRecipe
from galileu_pipeline.training.encoding import encode_answer
from galileu_pipeline.training.generation import generate
from galileu_pipeline.training.ppo.experience import Explorer
from galileu_pipeline.training.ppo.recipe import PpoRecipe
from galileu_pipeline.training.ppo.sampling import Sampler
from galileu_pipeline.training.ppo.trainer import PPOTrainer
from galileu_pipeline.training.progress import ProgressCallback
from galileu_pipeline.training.reward import RewardRecipe
from galileu_pipeline.training.runner import Recipe, read_split, train
from galileu_pipeline.training.scoring import answer_rewards
from galileu_pipeline.training.settings import (
    LoraSettings,
    PpoSettings,
    Resources,
    SampleSettings,
    StageResult,
    StageSpec,
)
from galileu_pipeline.training.sft import SftRecipe
from galileu_pipeline_tests.training.conftest import ONE_THREAD, build_tiny, say_nothing

pytestmark = pytest.mark.slow

GOOD, BAD = "Sim, com a luneta eu vi.", "Futebol e bolo."
EVERY_RECIPE = [SftRecipe, RewardRecipe, DpoRecipe, PpoRecipe]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dataset"), questions=50)


def write_dataset(folder: Path, questions: int) -> Path:
    """Three questions to train on, one held out, one to watch the training on, and so on; the answers are the same."""
    sides = ("test", "train", "train", "train", "validation")
    rows = [(f"Você viu a lua número {number}?", sides[number % 5]) for number in range(questions)]
    pairs = [
        {"pair_id": str(index), "prompt": question, "chosen": GOOD, "rejected": BAD, "split": split}
        for index, (question, split) in enumerate(rows)
    ]
    answers = [
        {"prompt": question, "response": text, "score": score, "split": split, "example_id": f"{question}-{score}"}
        for question, split in rows
        for text, score in ((GOOD, 1.0), (BAD, 0.0))
    ]
    for name in ("pairs", "examples"):
        (folder / name).mkdir(parents=True)
    write_pairs(pa.Table.from_pylist(pairs).to_batches(), "", folder / "pairs")
    write_held_out_answers(pa.Table.from_pylist(answers).to_batches(), "", folder / "pairs")
    write_examples(pa.Table.from_pylist(answers).to_batches(), [], 0.75, "", folder / "examples")
    return folder


def run(
    recipe: type[Recipe[Any]],
    base: Path,
    dataset: Path,
    output: Path,
    adapter: Path | None = None,
    resources: Resources | None = None,
    reward: Path | None = None,
    checkpoints: Path | None = None,
    dropout: float = 0.0,
    **settings: object,
) -> StageResult:
    output.mkdir(parents=True)
    stage = {SftRecipe: "sft", RewardRecipe: "reward", DpoRecipe: "dpo", PpoRecipe: "ppo"}[recipe]
    spec = StageSpec.model_validate(
        {
            "stage": stage,
            "output": output,
            "checkpoints": checkpoints or output.with_name(f"{output.name}-checkpoints"),
            "settings": {"learning_rate": 0.01, "epochs": 6, "batch_size": 10, "max_length": 128, **settings},
            "lora": LoraSettings(r=8, alpha=16, dropout=dropout),
            "samples": SampleSettings(prompts=1, max_new_tokens=4),
            "resources": resources or ONE_THREAD,
            "base": base,
            "base_id": "base_model-000000000000",
            "adapter": adapter,
            "reward": reward,
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
    assert result.metrics["reward_rating_rank_correlation"]["value"] > 0.8

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
        [encode_answer(tokenizer, prompt, [{"role": "assistant", "content": text}]) for text in (GOOD, BAD)],
        2,
    )
    assert good > bad


@pytest.fixture(scope="module")
def reward(
    tiny_base: Path, dataset: Path, sft: tuple[Path, StageResult], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    output = tmp_path_factory.mktemp("reward") / "out"
    run(RewardRecipe, tiny_base, dataset / "pairs", output, adapter=sft[0])
    return output


PPO: dict[str, Any] = {"max_new_tokens": 16, "batch_size": 15, "ppo_epochs": 2, "learning_rate": 0.003, "epochs": 4}


@pytest.mark.parametrize("value_model", ["adapter", "reward_model"])
def test_ppo_is_measured_on_held_out_questions(
    tiny_base: Path, dataset: Path, sft: tuple[Path, StageResult], reward: Path, tmp_path: Path, value_model: str
) -> None:
    out = tmp_path / "out"
    settings = {**PPO, "value_model": value_model}
    result: Any = run(PpoRecipe, tiny_base, dataset / "pairs", out, adapter=sft[0], reward=reward, **settings)
    metrics = result.metrics
    assert metrics["train_examples"] == 30
    assert metrics["steps"] == 4 * 2 * 2  # two rollouts an epoch, two passes over each
    rewards = metrics["held_out_reward"]
    assert {measured["n"] for measured in rewards.values()} == {10}
    assert rewards["gain"]["value"] == pytest.approx(
        rewards["ppo_model"]["value"] - rewards["sft_model"]["value"], abs=1e-5
    )
    assert metrics["held_out_shaped_reward"].keys() == rewards.keys()
    assert metrics["held_out_questions_left_out"] == 0
    assert metrics["held_out_answers"]["sft_model"]["kl"]["value"] == 0
    assert metrics["held_out_answers"]["ppo_model"]["kl"]["value"] > 0
    assert {name: figures["n"] for name, figures in metrics["preference_accuracy"].items()} == {"ppo_model": 10}
    assert load_file(out / "adapter_model.safetensors").keys() == load_file(sft[0] / "adapter_model.safetensors").keys()
    log = [json.loads(line) for line in (out / "training_log.jsonl").read_text().splitlines()]
    assert sum("reward" in point and "rlhf_reward" in point for point in log) == 8
    assert len((out / "answers.jsonl").read_text().splitlines()) == 8 * 4


def test_ppo_answers_the_questions_of_both_datasets_once(
    tiny_base: Path, dataset: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    more = write_dataset(tmp_path / "more", questions=75) / "examples"  # those of `dataset` are among them
    spec = StageSpec(
        stage="ppo", output=tmp_path, checkpoints=tmp_path, settings={}, base=tiny_base, more_questions=more
    )
    recipe = PpoRecipe(spec, PpoSettings(learning_rate=0.001, max_length=96, max_new_tokens=16), say_nothing)
    asked = recipe.examples(tokenizer, read_split(dataset / "pairs", "train")).rows["prompt"]
    numbers = [int(prompt[-1]["content"].split()[-1].rstrip("?")) for prompt in asked]
    assert numbers == [number for number in range(75) if number % 5 in (1, 2, 3)]


@pytest.mark.parametrize("watched", ["validation", "nothing", "no such file"])
def test_a_training_is_watched_on_what_its_model_is_not_judged_on(
    tiny_base: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watched: str
) -> None:
    data, seen = tmp_path / "examples", []
    shutil.copytree(dataset / "examples", data)
    if watched == "nothing":
        pq.write_table(pq.read_table(data / "validation.parquet").slice(0, 0), data / "validation.parquet")
    elif watched == "no such file":
        (data / "validation.parquet").unlink()
    evaluate = Trainer.evaluate

    def look(self: Trainer, *arguments: Any, **options: Any) -> Any:
        seen.append(self.eval_dataset["prompt"])
        return evaluate(self, *arguments, **options)

    monkeypatch.setattr(Trainer, "evaluate", look)
    run(SftRecipe, tiny_base, data, tmp_path / "out", max_steps=2, eval_steps=1, eval_examples=8)
    log = [json.loads(line) for line in (tmp_path / "out" / "training_log.jsonl").read_text().splitlines()]
    if watched == "validation":
        assert seen == [read_split(data, "validation")["prompt"][:8]] * 2
        assert sum("eval_loss" in point for point in log) == 2
    else:
        assert not any("eval_loss" in point for point in log)
        assert seen == []


def test_the_reward_model_on_shared_weights_gives_the_same_rewards(
    tiny_base: Path, sft: tuple[Path, StageResult], reward: Path
) -> None:
    tokenizer = load_tokenizer(tiny_base)
    spec = StageSpec(stage="ppo", output=tiny_base, checkpoints=tiny_base, settings={}, base=tiny_base, adapter=sft[0])
    shared = load_reward_model_beside(load_policy(spec), reward, tokenizer)
    base = AutoModelForSequenceClassification.from_pretrained(
        tiny_base, num_labels=1, pad_token_id=tokenizer.pad_token_id
    )
    alone = PeftModel.from_pretrained(base, reward)
    prompt = [{"role": "user", "content": "Você viu a lua número 99?"}]
    answers = [encode_answer(tokenizer, prompt, [{"role": "assistant", "content": text}]) for text in (GOOD, BAD)]
    assert answer_rewards(shared, tokenizer, answers, 2) == pytest.approx(
        answer_rewards(alone, tokenizer, answers, 2), rel=1e-4
    )


@pytest.mark.parametrize("recipe", EVERY_RECIPE)
def test_a_killed_stage_goes_on_and_ends_with_the_same_bytes(
    tiny_base: Path,
    dataset: Path,
    sft: tuple[Path, StageResult],
    reward: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: type[Recipe[Any]],
) -> None:
    data = dataset / ("examples" if recipe is SftRecipe else "pairs")
    settings: dict[str, Any] = {
        "epochs": 4,
        "dropout": 0.1,
        "logging_steps": 4,
        "save_steps": 3,  # between two points of the curves
        **(PPO if recipe is PpoRecipe else {}),
    }
    adapter = None if recipe is SftRecipe else sft[0]

    def start(name: str) -> StageResult:
        return run(
            recipe, tiny_base, data, tmp_path / name, adapter, reward=reward, checkpoints=tmp_path / "kept", **settings
        )

    whole = start("whole")
    shutil.rmtree(tmp_path / "kept")

    def crash(self: ProgressCallback, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step > 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressCallback, "on_step_begin", crash)
    with pytest.raises(KeyboardInterrupt):
        start("killed")
    monkeypatch.undo()
    last = last_checkpoint(tmp_path / "kept", say_nothing)
    assert last is not None
    torn = tmp_path / "kept" / "checkpoint-999"  # as a kill in the middle of writing one leaves it
    torn.mkdir()
    (torn / "trainer_state.json").write_text("{")

    resumed = start("resumed")
    assert resumed.resumed_from == last.name
    assert resumed.metrics == whole.metrics
    for file in ("adapter_model.safetensors", "training_log.jsonl", "samples.json"):
        assert (tmp_path / "resumed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


@pytest.mark.parametrize("recipe", [SftRecipe, DpoRecipe])
def test_a_stage_that_is_told_to_stop_saves_its_step(
    tiny_base: Path,
    dataset: Path,
    sft: tuple[Path, StageResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: type[Recipe[Any]],
) -> None:
    data = dataset / ("examples" if recipe is SftRecipe else "pairs")

    def start(name: str) -> StageResult:
        return run(
            *(recipe, tiny_base, data, tmp_path / name, None if recipe is SftRecipe else sft[0]),
            checkpoints=tmp_path / "kept",
            epochs=2,
            dropout=0.1,
        )

    whole = start("whole")
    shutil.rmtree(tmp_path / "kept")
    with monkeypatch.context() as patch:
        patch.setattr(ProgressCallback, "on_step_begin", _signal_at(2))
        with pytest.raises(StoppedError, match=r"saved step 3 of 6\. Materialize (sft|dpo)_model again"):
            start("stopped")
    with monkeypatch.context() as patch:
        patch.setattr(recipe, "evaluate", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(StoppedError, match="was told to stop"):
            start("stopped after training")
    resumed = start("resumed")
    assert resumed.resumed_from == "checkpoint-6"
    assert resumed.environment["resumes"] == 2
    assert resumed.metrics == whole.metrics
    for file in ("adapter_model.safetensors", "training_log.jsonl"):
        assert (tmp_path / "resumed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


def _signal_at(step: int) -> Any:
    def send(self: ProgressCallback, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return send


@pytest.mark.parametrize("recipe", EVERY_RECIPE)
def test_out_of_memory_goes_on_with_smaller_micro_batches(
    tiny_base: Path,
    dataset: Path,
    sft: tuple[Path, StageResult],
    reward: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: type[Recipe[Any]],
) -> None:
    data = dataset / ("examples" if recipe is SftRecipe else "pairs")
    # The last step of an epoch has fewer examples, so that the halves of it are not alike.
    settings = {"epochs": 2, "save_steps": 2, "logging_steps": 1, **(PPO if recipe is PpoRecipe else {})}
    settings["batch_size"] = 15 if recipe is PpoRecipe else 12
    saved = 4 if recipe is PpoRecipe else 2  # PPO counts iterations, of two optimizer steps each

    def start(name: str, checkpoints: str = "kept", **known: Any) -> StageResult:
        return run(
            *(recipe, tiny_base, data, tmp_path / name, None if recipe is SftRecipe else sft[0]),
            reward=reward,
            checkpoints=tmp_path / checkpoints,
            **{**settings, **known},
        )

    whole = start("whole", "other")
    trained: list[int] = []

    def step(self: Any, model: Any, inputs: Any, *arguments: Any) -> torch.Tensor:
        if self.state.global_step >= saved and self.args.per_device_train_batch_size > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        trained.append(self.state.global_step)
        return original(self, model, inputs, *arguments)

    owner = PPOTrainer if recipe is PpoRecipe else Trainer
    original = owner.training_step
    monkeypatch.setattr(owner, "training_step", step)
    result = start("halved")
    assert result.resumed_from == f"checkpoint-{saved}"
    assert trained.count(0) == trained.count(1) == 1  # the steps of the checkpoint were not done again
    size, accumulation = (5, 3) if recipe is PpoRecipe else (3, 4)
    used: Any = result.environment["micro_batch"]
    assert (used["size"], used["accumulation"]) == (size, accumulation)
    assert "micro_batch" not in whole.environment
    ours = load_file(tmp_path / "halved" / "adapter_model.safetensors")
    for name, weights in load_file(tmp_path / "whole" / "adapter_model.safetensors").items():
        assert torch.allclose(weights, ours[name], rtol=1e-2, atol=2e-3), name


@pytest.mark.parametrize(
    ("part", "sizes"), [("sampling", {"rollout_batch_size": 12}), ("scoring", {"scoring_batch_size": 12})]
)
def test_out_of_memory_in_a_rollout_goes_on_with_fewer_answers_at_once(
    tiny_base: Path,
    dataset: Path,
    sft: tuple[Path, StageResult],
    reward: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    sizes: dict[str, int],
) -> None:
    """Where the micro-batch is as small as can be; the others are, so that one of them alone is too much."""
    original: Any = Sampler._sample if part == "sampling" else Explorer.by_batch
    tried: list[int] = []

    def limited(self: Any, *arguments: Any) -> Any:
        tried.append(len(arguments[1]) if part == "sampling" else self._batch_size)
        if tried[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return original(self, *arguments)

    monkeypatch.setattr(Sampler if part == "sampling" else Explorer, original.__name__, limited)
    result = run(
        *(PpoRecipe, tiny_base, dataset / "pairs", tmp_path / "out", sft[0]),
        reward=reward,
        **{**PPO, "epochs": 1, "batch_size": 1, "gradient_accumulation_steps": 15, "eval_batch_size": 1},
        **{"rollout_batch_size": 1, "scoring_batch_size": 1, **sizes},
    )
    used: Any = result.environment["micro_batch"]
    assert (used["size"], used["accumulation"], used["eval_size"]) == (1, 15, 1)
    assert used["rollout_size" if part == "sampling" else "scoring_size"] == 3
    assert result.metrics["steps"] == 4
    assert {6, 3} <= set(tried)


def test_one_example_too_many_is_an_error_that_says_what_would_help(
    tiny_base: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(*_: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")

    monkeypatch.setattr(Trainer, "training_step", step)
    with pytest.raises(OutOfMemoryError, match="gradient_checkpointing: true"):
        run(SftRecipe, tiny_base, dataset / "examples", tmp_path / "out", batch_size=2, eval_batch_size=2)


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

    with pytest.raises(StageError, match="Raise max_length"):
        run(SftRecipe, tiny_base, dataset / "examples", tmp_path / "out", max_length=16)


def test_generation_does_not_depend_on_the_batch(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    prompts = [[{"role": "user", "content": text}] for text in ("Oi", "Uma pergunta bem mais longa sobre a Lua?")]
    together = generate(model, tokenizer, prompts, 6)
    assert together == [generate(model, tokenizer, [prompt], 6)[0] for prompt in prompts]


@pytest.mark.parametrize("recipe", EVERY_RECIPE)
def test_gradient_checkpointing_changes_the_memory_alone(
    tiny_base: Path,
    dataset: Path,
    sft: tuple[Path, StageResult],
    reward: Path,
    tmp_path: Path,
    recipe: type[Recipe[Any]],
) -> None:
    data = dataset / ("examples" if recipe is SftRecipe else "pairs")
    settings: dict[str, Any] = {**PPO, "epochs": 1} if recipe is PpoRecipe else {"max_steps": 3}

    def trained(name: str, **more: Any) -> dict[str, torch.Tensor]:
        run(recipe, tiny_base, data, tmp_path / name, adapter=sft[0], reward=reward, **settings, **more)
        return load_file(tmp_path / name / "adapter_model.safetensors")

    plain, checkpointed = trained("plain"), trained("checkpointed", gradient_checkpointing=True)
    assert plain.keys() == checkpointed.keys()
    started = load_file(sft[0] / "adapter_model.safetensors")
    for name, weights in plain.items():
        assert torch.equal(checkpointed[name], weights), name
        assert name not in started or not torch.equal(weights, started[name]), name


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that bitsandbytes can quantize: it packs blocks of 64 weights."""
    return build_tiny(tmp_path_factory.mktemp("wide") / "base", hidden_size=128)


NF4 = ONE_THREAD.model_copy(update={"quantization": "nf4"})


@pytest.fixture(scope="module")
def quantized(wide: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[type, tuple[Path, Any]]:
    """All stages on a 4-bit base, as the 16 GB profile has it, on the CPU: (folder, result)."""
    folder = tmp_path_factory.mktemp("nf4")
    sft, reward = folder / "sft", folder / "reward"
    results: dict[type, tuple[Path, Any]] = {}
    results[SftRecipe] = sft, run(SftRecipe, wide, dataset / "examples", sft, resources=NF4)
    settings: dict[str, Any] = {"learning_rate": 0.003, "epochs": 2, "eval_steps": 100}
    for recipe, output in ((RewardRecipe, reward), (DpoRecipe, folder / "dpo")):
        results[recipe] = (
            output,
            run(recipe, wide, dataset / "pairs", output, sft, resources=NF4, **settings),
        )
    output = folder / "ppo"
    ppo = {**settings, "max_new_tokens": 8, "batch_size": 15, "ppo_epochs": 1}
    results[PpoRecipe] = (
        output,
        run(PpoRecipe, wide, dataset / "pairs", output, sft, resources=NF4, reward=reward, **ppo),
    )
    return results


@pytest.mark.parametrize("recipe", EVERY_RECIPE)
def test_on_a_4bit_base_the_adapter_stays_fp32(
    quantized: dict[type, tuple[Path, Any]], recipe: type[Recipe[Any]]
) -> None:
    weights = load_file(quantized[recipe][0] / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    updates = torch.cat([tensor.flatten() for name, tensor in weights.items() if "lora_B" in name])
    rounded = (updates == updates.bfloat16().float()).float().mean()
    assert rounded < 0.1  # nothing was bf16 on its way


def test_on_a_4bit_base_the_stages_learn(quantized: dict[type, tuple[Path, Any]]) -> None:
    sft, reward, dpo = (quantized[recipe][1].metrics for recipe in (SftRecipe, RewardRecipe, DpoRecipe))
    assert sft["eval_loss"] < 0.8 * sft["base_eval_loss"]
    assert reward["preference_accuracy"]["reward_model"]["value"] == 1.0
    assert dpo["implicit_reward_accuracy"]["value"] == 1.0
    before, after = (load_file(quantized[recipe][0] / "adapter_model.safetensors") for recipe in (SftRecipe, PpoRecipe))
    assert all(not torch.equal(after[name], weights) for name, weights in before.items())
