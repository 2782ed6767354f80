"""When a stage stops by itself."""

import os
import signal
from contextlib import suppress
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState

from galileu_pipeline.errors import StoppedError
from galileu_pipeline.training.stopping import StopRequest

ARGS: Any = None


def state(step: int) -> TrainerState:
    return TrainerState(global_step=step, max_steps=6)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_steps_lets_the_step_end_and_be_saved(number: signal.Signals) -> None:
    stop, control = StopRequest("dpo"), TrainerControl()
    before = signal.getsignal(number)
    with stop.listening():
        stop.on_train_begin(ARGS, state(0), control)
        stop.on_step_end(ARGS, state(1), control)
        assert not control.should_training_stop
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # a terminal and Dagster send one each
        stop.on_step_end(ARGS, state(2), control)
        assert (control.should_save, control.should_training_stop) == (True, True)
        with pytest.raises(StoppedError, match=r"saved step 2 of 6.*--select dpo_model"):
            stop.on_train_end(ARGS, state(2), control)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("trained", [False, True])
def test_outside_of_training_there_is_nothing_to_wait_for(number: signal.Signals, trained: bool) -> None:
    stop, control = StopRequest("sft"), TrainerControl()
    if trained:
        stop.on_train_begin(ARGS, state(0), control)
        stop.on_train_end(ARGS, state(6), control)
    with pytest.raises(StoppedError, match="sft was told to stop"), stop.listening(), suppress(Exception):
        os.kill(os.getpid(), number)  # in a library that goes on after every Exception


def test_nobody_is_left_to_publish_what_an_orphan_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, control = StopRequest("sft"), TrainerControl()
    stop.on_step_end(ARGS, state(1), control)
    assert not control.should_training_stop
    monkeypatch.setattr(os, "getppid", lambda: 1)
    stop.on_step_end(ARGS, state(2), control)
    assert (control.should_save, control.should_training_stop) == (True, True)
