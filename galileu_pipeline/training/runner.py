"""One runner for all training stages. A stage's recipe adds only its model, its trainer and its metrics."""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import pyarrow.parquet as pq
import torch
from datasets import Dataset
from peft import PeftModel
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from galileu_pipeline.errors import StageError
from galileu_pipeline.process import Report, beat
from galileu_pipeline.training.attempts import count_resume, until_done
from galileu_pipeline.training.backbone import load_tokenizer, save_adapter
from galileu_pipeline.training.checkpoints import KEPT, WholeCheckpoints, last_checkpoint
from galileu_pipeline.training.examples import EncodedRow, Examples, dataset_of, encode_examples
from galileu_pipeline.training.generation import generate
from galileu_pipeline.training.progress import ProgressCallback, curve_points
from galileu_pipeline.training.settings import StageResult, StageSpec, TrainerSettings
from galileu_pipeline.training.stopping import StopRequest

LOG_NAME = "training_log.jsonl"
SAMPLES_NAME = "samples.json"

SettingsT = TypeVar("SettingsT", bound=TrainerSettings)


class Recipe(ABC, Generic[SettingsT]):
    """What one stage adds to the runner."""

    settings_type: ClassVar[type[TrainerSettings]]
    talks: ClassVar[bool] = True  # whether the model generates text, so that answers before and after can be shown

    def __init__(self, spec: StageSpec, settings: SettingsT, report: Report) -> None:
        self.spec = spec
        self.settings = settings
        self.report = report

    @abstractmethod
    def load_model(self, tokenizer: PreTrainedTokenizerBase) -> PeftModel:
        """The model with its trainable adapter."""

    @abstractmethod
    def encode(self, tokenizer: PreTrainedTokenizerBase, row: Mapping[str, Any]) -> EncodedRow:
        """From a row of the dataset to what its trainer reads."""

    def examples(self, tokenizer: PreTrainedTokenizerBase, rows: Dataset) -> Examples:
        """What there is to learn from these rows of the dataset."""
        return encode_examples(rows, tokenizer, self.encode, self.settings.max_length)

    @abstractmethod
    def make_trainer(
        self, model: PeftModel, tokenizer: PreTrainedTokenizerBase, common: dict[str, Any]
    ) -> WholeCheckpoints:
        """The trainer. `common` holds the arguments that all of them take: args, datasets, callbacks."""

    def before(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> None:
        """Measure and generate what must come from the untrained adapter."""

    @abstractmethod
    def evaluate(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> dict[str, Any]:
        """Held-out metrics of the trained model, beside those of what it started from unless another stage has them."""

    def arguments(self) -> dict[str, Any]:
        """Arguments of every trainer's config, from the settings."""
        settings = self.settings
        return {
            "output_dir": str(self.spec.checkpoints),
            "learning_rate": settings.learning_rate,
            "num_train_epochs": settings.epochs,
            "max_steps": settings.max_steps,
            "per_device_train_batch_size": settings.batch_size,
            "per_device_eval_batch_size": settings.eval_batch_size,
            "gradient_accumulation_steps": settings.gradient_accumulation_steps,
            "gradient_checkpointing": settings.gradient_checkpointing,
            "max_length": settings.max_length,
            "warmup_steps": settings.warmup_ratio,  # a value below 1 is a share of all steps
            "lr_scheduler_type": settings.lr_scheduler,
            "weight_decay": settings.weight_decay,
            "max_grad_norm": settings.max_grad_norm,
            "logging_steps": settings.logging_steps,
            "logging_first_step": True,
            "eval_steps": settings.eval_steps,
            "save_strategy": "steps",
            "save_steps": settings.save_steps,
            "save_total_limit": KEPT,
            "logging_nan_inf_filter": False,  # it would hide the loss that says that training failed
            "seed": self.spec.seed,
            "data_seed": self.spec.seed,
            "bf16": self.spec.resources.precision == "bf16",
            "use_cpu": self.spec.resources.gpus == 0,
            "report_to": "none",
            "disable_tqdm": True,
        }


def train(recipe_type: type[Recipe[Any]], spec: StageSpec, report: Report) -> StageResult:
    """Train one adapter and write it to `spec.output`, with its curves and samples.

    Where `spec.checkpoints` holds what a killed run left, training goes on from there and ends with the same weights.

    Raises:
        StageError: too few examples are short enough, or the loss left the finite numbers.
        OutOfMemoryError: not even one example at a time fits.
        StoppedError: a signal came; what was learnt is saved.
    """
    settings = recipe_type.settings_type.model_validate(spec.settings)
    asked = settings.micro_batch(device_names())
    stop = StopRequest(spec.stage)
    with stop.listening():
        return until_done(spec, asked, lambda spec: _train(recipe_type, spec, report, stop), report)


def _train(recipe_type: type[Recipe[Any]], spec: StageSpec, report: Report, stop: StopRequest) -> StageResult:
    clock = StopWatch()

    # Seed. Before the model, since a fresh adapter is random.
    set_seed(spec.seed)
    if spec.resources.gpus == 0:
        torch.set_num_threads(spec.resources.cpus)
    settings = recipe_type.settings_type.model_validate(spec.settings)
    recipe = recipe_type(spec, settings, report)

    # Model
    report(f"{spec.stage}: loading {spec.base_id}")
    tokenizer = load_tokenizer(spec.base)
    model = recipe.load_model(tokenizer)
    model.get_input_embeddings().register_forward_pre_hook(lambda *_: beat())  # wherever the model is at work

    # Data
    data = recipe.examples(tokenizer, read_split(spec.dataset, "train"))
    held_out = encode_examples(read_split(spec.dataset, "test"), tokenizer, recipe.encode, settings.max_length)
    for examples, least, name in ((data, settings.min_examples, "training"), (held_out, 1, "held-out")):
        examples.require(least, name, settings.max_length)
        if examples.left_out:
            report(f"{spec.stage}: {name} examples left out: {examples.left_out}")
    test = held_out.rows
    watched = _watched(recipe, tokenizer)
    shown = test["prompt"][: spec.samples.prompts if recipe.talks else 0]

    # Trainer
    checkpoint = last_checkpoint(spec.checkpoints, report)
    exact = {name: parameter.data for name, parameter in model.named_parameters() if parameter.requires_grad}
    trainer = recipe.make_trainer(
        model,
        tokenizer,
        {
            "args": {**recipe.arguments(), "eval_strategy": "steps" if watched else "no"},
            "train_dataset": data.rows,
            "eval_dataset": watched,
            "callbacks": [ProgressCallback(report, spec.stage), FiniteLoss(spec.stage), stop],
        },
    )
    _restore(model, exact)
    trainer.remove_callback(PrinterCallback)  # it prints raw dictionaries beside our lines
    clock.lap("load")
    recipe.before(trainer, tokenizer, test)
    answers_before = generate(model, tokenizer, shown, spec.samples.max_new_tokens)
    untrained = curve_points(trainer.state.log_history)
    clock.lap("evaluate")
    if checkpoint:
        report(f"{spec.stage}: going on from {checkpoint.name} of a run that did not end")
        count_resume(spec.checkpoints)
    try:
        outcome = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        stop.stepping = False
    trainer.require_finite_weights()
    clock.lap("train")
    report(f"{spec.stage}: evaluating on {len(test)} held-out examples")
    metrics = recipe.evaluate(trainer, tokenizer, test)
    answers_after = generate(model, tokenizer, shown, spec.samples.max_new_tokens)
    clock.lap("evaluate")

    # Save
    save_adapter(model, spec)
    curves = untrained + curve_points(trainer.state.log_history)
    _write_lines(spec.output / LOG_NAME, curves)
    samples = [
        {"prompt": prompt[-1]["content"], "before": before.text, "after": after.text}
        for prompt, before, after in zip(shown, answers_before, answers_after, strict=True)
    ]
    (spec.output / SAMPLES_NAME).write_text(json.dumps(samples, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return StageResult(
        metrics={
            "train_loss": _mean_loss(curves),
            "steps": outcome.global_step,
            "train_examples": len(data),
            "dropped_too_long": data.too_long,
            "dropped_equal": data.equal,
            "held_out_examples": len(held_out),
            "held_out_dropped": held_out.too_long + held_out.equal,
            **metrics,
        },
        environment={"devices": device_names(), "threads": torch.get_num_threads(), "seconds": clock.seconds},
        resumed_from=checkpoint.name if checkpoint else None,
    )


def _restore(model: PeftModel, exact: Mapping[str, torch.Tensor]) -> None:
    """Give the trainable weights back their fp32: TRL (1.16) casts those of a quantized model to bf16.

    Steps of fine-tuning are smaller than bf16 can add to a weight; about half of the weights would never move.
    """
    for name, weights in exact.items():
        parameter = model.get_parameter(name)  # which the trainer may have moved to a GPU
        parameter.data = weights.to(parameter.device, torch.float32)


class FiniteLoss(TrainerCallback):
    """Ends a training whose loss is no number any more, before checkpoints of it take the place of good ones."""

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: object,
    ) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise StageError(
                f"The loss of {self._stage} became {loss} by step {state.global_step}. Lower learning_rate, or use "
                "precision fp32."
            )


class StopWatch:
    """Wall time by part of the work, in seconds: `lap(name)` adds the time since the last lap to `name`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + now - self._last, 2)
        self._last = now


def device_names() -> list[str]:
    """The accelerators of this process, or the CPU."""
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] or ["cpu"]


def _watched(recipe: Recipe[Any], tokenizer: PreTrainedTokenizerBase) -> Dataset | None:
    """What the training is watched on, which is never what the trained model is judged on; None where there is nothing.

    Datasets of before there was such a split have none.
    """
    if not (recipe.spec.dataset / "validation.parquet").is_file():
        return None
    rows = read_split(recipe.spec.dataset, "validation")
    encoded = encode_examples(rows, tokenizer, recipe.encode, recipe.settings.max_length).rows
    return encoded.select(range(min(recipe.settings.eval_examples, len(encoded)))) or None


def read_split(dataset: Path, name: str) -> Dataset:
    """`<name>.parquet` of a dataset's folder.

    Read without the library's cache, which would keep people's texts outside the data folder.
    """
    return dataset_of(pq.read_table(dataset / f"{name}.parquet"))


def _mean_loss(curves: Sequence[dict[str, Any]]) -> float:
    """Mean over the steps of the logged losses, each of which stands for the steps since the one before."""
    total, last = 0.0, 0
    for point in curves:
        if "loss" in point:
            total += point["loss"] * (point["step"] - last)
            last = point["step"]
    return round(total / max(last, 1), 6)


def _write_lines(path: Path, records: Sequence[dict[str, Any]]) -> None:
    # Sorted: what the Trainer reads back from a checkpoint has other key orders than what it logged itself.
    path.write_text("".join(json.dumps(record, sort_keys=True) + "\n" for record in records), encoding="utf-8")
