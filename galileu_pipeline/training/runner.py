"""One runner for SFT, reward model and DPO. A stage's recipe adds only its model, its TRL trainer and its metrics."""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Generic, TypeVar

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, PrinterCallback, Trainer, set_seed

from galileu_pipeline.errors import StageError
from galileu_pipeline.training.backbone import load_tokenizer, save_adapter
from galileu_pipeline.training.progress import ProgressCallback, Report
from galileu_pipeline.training.settings import StageResult, StageSpec, TrainerSettings

LOG_NAME = "training_log.jsonl"
SAMPLES_NAME = "samples.json"

SettingsT = TypeVar("SettingsT", bound=TrainerSettings)


class Recipe(ABC, Generic[SettingsT]):
    """What one stage adds to the runner."""

    settings_type: ClassVar[type[TrainerSettings]]

    def __init__(self, spec: StageSpec, settings: SettingsT, report: Report) -> None:
        self.spec = spec
        self.settings = settings
        self.report = report

    @abstractmethod
    def load_model(self, tokenizer: PreTrainedTokenizerBase) -> PeftModel:
        """The model with its trainable adapter."""

    @abstractmethod
    def make_trainer(self, model: PeftModel, tokenizer: PreTrainedTokenizerBase, common: dict[str, Any]) -> Trainer:
        """The TRL trainer. `common` holds the arguments that all of them take: args, datasets, callbacks."""

    def before(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> None:
        """Measure and generate what must come from the untrained adapter."""

    @abstractmethod
    def evaluate(self, trainer: Trainer, tokenizer: PreTrainedTokenizerBase, test: Dataset) -> dict[str, Any]:
        """Held-out metrics of the trained model, with those of the one it started from beside them."""

    def samples(self) -> Sequence[dict[str, str]]:
        """Generated answers: {prompt, before, after}."""
        return ()

    def arguments(self, output_dir: Path, **extra: Any) -> dict[str, Any]:
        """Arguments of every TRL config, from the settings."""
        settings = self.settings
        return {
            "output_dir": str(output_dir),
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
            "eval_strategy": "steps",
            "eval_steps": settings.eval_steps,
            "save_strategy": "no",
            "seed": self.spec.seed,
            "data_seed": self.spec.seed,
            "bf16": self.spec.resources.precision == "bf16",
            "use_cpu": self.spec.resources.gpus == 0,
            "report_to": "none",
            "disable_tqdm": True,
            **extra,
        }


def train(recipe_type: type[Recipe[Any]], spec: StageSpec, report: Report) -> StageResult:
    """Train one adapter and write it to `spec.output`, with its curves and samples.

    Raises:
        StageError: no example was short enough, or the loss left the finite numbers.
    """

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

    # Data
    data, test = read_split(spec, "train"), read_split(spec, "test")

    # Trainer
    progress = ProgressCallback(report, spec.stage)
    with TemporaryDirectory(prefix="galileu-trainer-") as scratch:
        trainer = recipe.make_trainer(
            model,
            tokenizer,
            {
                "args": recipe.arguments(Path(scratch)),
                "train_dataset": data,
                "eval_dataset": test.select(range(min(settings.eval_examples, len(test)))),
                "callbacks": [progress],
            },
        )
        trainer.remove_callback(PrinterCallback)  # it prints raw dictionaries beside our lines
        examples = len(trainer.train_dataset)  # type: ignore[arg-type]
        if examples == 0:
            raise StageError(f"Every example is longer than max_length={settings.max_length} tokens; raise it.")
        clock.lap("load")
        recipe.before(trainer, tokenizer, test)
        clock.lap("evaluate")
        outcome = trainer.train()
        clock.lap("train")
        if not math.isfinite(outcome.training_loss):
            raise StageError(
                f"The loss of {spec.stage} became {outcome.training_loss} by step {outcome.global_step}. "
                "Lower learning_rate, or use precision fp32."
            )
        report(f"{spec.stage}: evaluating on {len(test)} held-out examples")
        metrics = recipe.evaluate(trainer, tokenizer, test)
        clock.lap("evaluate")

    # Save
    save_adapter(model, spec)
    _write_lines(spec.output / LOG_NAME, progress.history)
    (spec.output / SAMPLES_NAME).write_text(
        json.dumps(list(recipe.samples()), ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
    )
    return StageResult(
        metrics={
            "train_loss": round(outcome.training_loss, 6),
            "steps": outcome.global_step,
            "train_examples": examples,
            "dropped_too_long": len(data) - examples,
            **metrics,
        },
        environment={"devices": device_names(), "threads": torch.get_num_threads(), "seconds": clock.seconds},
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


def read_split(spec: StageSpec, name: str) -> Dataset:
    """`<name>.parquet` of the stage's dataset."""
    return Dataset.from_parquet(str(spec.dataset / f"{name}.parquet"), keep_in_memory=True)


def _write_lines(path: Path, records: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
