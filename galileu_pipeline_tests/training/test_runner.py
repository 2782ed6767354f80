"""Parts of the runner by themselves."""

import math

import pytest
import torch
from torch import nn
from transformers import TrainerControl, TrainerState

from galileu_pipeline.errors import StageError
from galileu_pipeline.training.runner import FiniteLoss, _restore
from galileu_pipeline_tests.training.closeness import about


def test_weights_are_given_back_where_the_trainer_has_put_them() -> None:
    model = nn.Linear(2, 2)
    exact = {name: parameter.data for name, parameter in model.named_parameters()}
    _restore(model.to("meta", torch.bfloat16), exact)  # type: ignore[arg-type]
    assert {(parameter.device.type, parameter.dtype) for parameter in model.parameters()} == {("meta", torch.float32)}


def test_weights_are_given_back_to_the_last_digit() -> None:
    model = nn.Linear(2, 2)
    exact = {name: parameter.data for name, parameter in model.named_parameters()}
    expected = model.weight.tolist()
    _restore(model.to(torch.bfloat16), exact)  # type: ignore[arg-type]
    assert model.weight.tolist() == [about(row) for row in expected]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_the_training_there(loss: float) -> None:
    state, guard = TrainerState(global_step=7), FiniteLoss("sft")
    guard.on_log(None, state, TrainerControl(), {"loss": 0.5})  # type: ignore[arg-type]
    guard.on_log(None, state, TrainerControl(), {"eval_loss": 0.5})  # type: ignore[arg-type]
    with pytest.raises(StageError, match=r"by step 7\. Lower learning_rate"):
        guard.on_log(None, state, TrainerControl(), {"loss": loss})  # type: ignore[arg-type]
