"""A stage that is told to stop finishes its step, saves, and says how to go on."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from galileu_pipeline.errors import StoppedError

_SIGNALS = (signal.SIGTERM, signal.SIGINT)  # of Kubernetes, Slurm and `kill`; of Ctrl-C and Dagster


class _StopNow(BaseException):
    """Passes through what catches every Exception."""


class StopRequest(TrainerCallback):
    """Whether somebody wants the stage to end; to the trainer, a callback that obeys.

    Between two steps that is done by a checkpoint. Before and after the steps nothing can be lost, and the stage ends
    at once. A stage whose parent process is gone ends too: nobody would publish what it makes.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._parent = os.getppid()
        self._asked = False
        self.stepping = False  # whether there are steps, so that stopping waits for the end of one

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Signals reach this object instead of ending the process.

        Raises:
            StoppedError: one came; the stage can go on from where it is.
        """
        if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        try:
            yield
        except _StopNow:
            raise StoppedError(f"{self._stage} was told to stop. {self._how_to_go_on()}") from None
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        self.stepping = True

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        if self._asked or os.getppid() != self._parent:
            self._asked = control.should_save = control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        self.stepping = False
        if self._asked:
            raise StoppedError(
                f"{self._stage} was told to stop, and saved step {state.global_step} of {state.max_steps}. "
                f"{self._how_to_go_on()}"
            )

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if not self.stepping:
            raise _StopNow

    def _how_to_go_on(self) -> str:
        asset = f"{self._stage}_model"
        return (
            f"Materialize {asset} again to go on from its last checkpoint: dagster asset materialize --select {asset}"
        )
