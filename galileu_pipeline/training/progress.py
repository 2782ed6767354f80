"""What a running stage tells the outside: lines of progress, and the points of its curves."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

# Speeds and times differ from run to run; what is kept beside the weights must not.
_VOLATILE = ("runtime", "preparation_time", "per_second", "total_flos", "num_input_tokens")


# Sends one line to whoever watches: the Dagster event log, or the terminal.
Report = Callable[[str], None]


@dataclass
class ProgressCallback(TrainerCallback):
    """Reports every log of the trainer, and a sign of life in between; keeps the curves."""

    report: Report
    stage: str
    quiet_s: float = 10.0
    history: list[dict[str, Any]] = field(default_factory=list)
    _last: float = 0.0
    _started: float = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._started = self._last = time.monotonic()
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
        numbers = {
            name: round(float(value), 6)
            for name, value in logs.items()
            if isinstance(value, int | float) and not any(word in name for word in _VOLATILE)
        }
        self.history.append({"step": state.global_step, **numbers})
        shown = ("loss", "eval_loss", "rewards/margins", "eval_rewards/margins", "accuracy", "eval_accuracy")
        if figures := " · ".join(f"{name} {numbers[name]:.3f}" for name in shown if name in numbers):
            self._say(state, figures)

    def _say(self, state: TrainerState, figures: str) -> None:
        self._last = time.monotonic()
        done, total = state.global_step, state.max_steps
        where = f"step {done}/{total}" if total else "before training"
        left = ""
        if 0 < done < total:
            left = f" · {_duration((self._last - self._started) * (total - done) / done)} left"
        self.report(f"{self.stage}: {where}{' · ' if figures else ''}{figures}{left}")


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
