"""What a running stage tells the outside: lines of progress, and the points of its curves."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from galileu_pipeline.process import Report

# Speeds and times differ from run to run, and TRL counts tokens from zero again after a resume; what is kept beside the
# weights must not differ.
_VOLATILE = ("runtime", "preparation_time", "per_second", "total_flos", "num_input_tokens", "num_tokens", "train_loss")

_SHOWN = (
    *("loss", "eval_loss", "rewards/margins", "eval_rewards/margins", "accuracy", "eval_accuracy"),
    *("reward", "eval_reward", "kl", "eval_kl", "answer_length"),
)


@dataclass
class ProgressCallback(TrainerCallback):
    """Reports every log of the trainer, and a sign of life in between."""

    report: Report
    stage: str
    quiet_s: float = 10.0
    _last: float = 0.0
    _started: float = 0.0
    _first_step: int = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._started = self._last = time.monotonic()
        self._first_step = state.global_step
        self.report(f"{self.stage}: {state.max_steps} steps")

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if time.monotonic() - self._last > self.quiet_s:
            self._say(state, "")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not logs or not state.is_world_process_zero:
            return
        if figures := " · ".join(f"{name} {logs[name]:.3f}" for name in _SHOWN if name in logs):
            self._say(state, figures)

    def _say(self, state: TrainerState, figures: str) -> None:
        self._last = time.monotonic()
        done, total = state.global_step, state.max_steps
        where = f"step {done}/{total}" if total else "before training"
        left = ""
        if self._first_step < done < total:
            step_s = (self._last - self._started) / (done - self._first_step)
            left = f" · {_duration(step_s * (total - done))} left"
        self.report(f"{self.stage}: {where}{' · ' if figures else ''}{figures}{left}")


def curve_points(log: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The trainer's `log_history` as points of curves: numbers alone, without those that differ from run to run."""
    points = []
    for entry in log:
        numbers = {
            name: round(float(value), 6)
            for name, value in entry.items()
            if isinstance(value, int | float) and name != "step" and not any(word in name for word in _VOLATILE)
        }
        points.append({"step": entry["step"], **numbers})
    return points


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
