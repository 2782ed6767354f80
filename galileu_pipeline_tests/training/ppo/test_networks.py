"""What the networks compute does not depend on padding, and what is frozen is held once."""

from pathlib import Path
from typing import Any

import bitsandbytes as bnb
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from galileu_pipeline.training.ppo import objective
from galileu_pipeline.training.ppo.networks import ActorCritic, ValueModel, answer_logprobs
from galileu_pipeline.training.ppo.prompts import pad_prompts
from galileu_pipeline.training.ppo.rollout import Answers, Batch, Rollout, answer_mask
from galileu_pipeline.training.sharing import can_be_merged, freeze, merged, twin
from galileu_pipeline_tests.training.closeness import RELATIVE, about
from galileu_pipeline_tests.training.ppo.conftest import make_policy

PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [14]]
ANSWERS = [[20, 21, 22, 2], [23, 2], [24, 25, 26, 27]]
END = 2


@pytest.fixture
def policy(base: Path) -> PeftModel:
    policy = make_policy(base)
    with torch.no_grad():  # as if trained: a fresh adapter changes nothing
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05, generator=torch.Generator().manual_seed(1))
    return policy.eval()


def batch_of(rows: list[int], *, filler: int = 0, extra: int = 0) -> Batch:
    """These answers, padded with the token `filler`, `extra` columns wider on both sides than needed."""
    prompt_ids, prompt_mask = pad_prompts([PROMPTS[row] for row in rows], filler, torch.device("cpu"))
    width = max(len(ANSWERS[row]) for row in rows) + extra
    answer = torch.tensor([ANSWERS[row] + [filler] * (width - len(ANSWERS[row])) for row in rows])
    lengths = torch.tensor([len(ANSWERS[row]) for row in rows])
    mask = (torch.arange(width) < lengths[:, None]).int()
    left = torch.full((len(rows), extra), filler)
    return Batch(
        torch.cat((left, prompt_ids, answer), 1),
        torch.cat((torch.zeros_like(left), prompt_mask, mask), 1),
        answer,
        mask,
    )


def test_logprobs_are_those_of_the_unpadded_answer(policy: PeftModel) -> None:
    with torch.no_grad():
        together = answer_logprobs(policy, batch_of([0, 1, 2], extra=3), temperature=1.0)
        for row in range(3):
            ids = torch.tensor([PROMPTS[row] + ANSWERS[row]])
            logprobs = policy(input_ids=ids).logits[0].log_softmax(-1)
            start = len(PROMPTS[row]) - 1
            expected = [logprobs[start + place, token].item() for place, token in enumerate(ANSWERS[row])]
            assert together[row, : len(expected)].tolist() == about(expected)
            assert together[row, len(expected) :].tolist() == [0.0] * (together.shape[1] - len(expected))


def test_values_are_those_of_the_unpadded_answer(policy: PeftModel) -> None:
    value_model = ValueModel.beside(policy)
    torch.nn.init.normal_(value_model.head.weight, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        together = value_model(batch_of([0, 1, 2], extra=3))
        for row in range(3):
            alone = value_model(batch_of([row]))[0]
            assert together[row, : len(alone)].tolist() == about(alone)
            assert together[row, len(alone) :].abs().sum() == 0


def test_temperature_divides_the_logits(policy: PeftModel) -> None:
    with torch.no_grad():
        ids = torch.tensor([PROMPTS[0] + ANSWERS[0]])
        expected = (policy(input_ids=ids).logits[0] / 0.5).log_softmax(-1)[len(PROMPTS[0]) - 1, ANSWERS[0][0]]
        assert answer_logprobs(policy, batch_of([0]), 0.5)[0, 0].item() == about(expected)


@pytest.mark.parametrize(("filler", "extra"), [(3, 0), (END, 0), (0, 4)])
def test_padding_changes_neither_losses_nor_gradients(policy: PeftModel, filler: int, extra: int) -> None:
    def losses_and_gradients(batch: Batch) -> tuple[float, dict[str, torch.Tensor]]:
        torch.manual_seed(0)
        model = ActorCritic(policy, ValueModel.beside(policy))
        torch.nn.init.normal_(model.value_model.head.weight)
        logprobs, values = model(batch, 1.0)
        targets = torch.tensor([0.5, -1.0, 2.0, 0.3] + [1e6] * (logprobs.shape[1] - 4)).expand_as(logprobs)
        targets = torch.where(batch.mask_BT.bool(), targets, 1e6)
        policy_losses, _ = objective.policy_losses(logprobs, logprobs.detach() - 0.1, targets, 0.2)
        value_losses, _ = objective.value_losses(values, values.detach(), targets, 0.2)
        loss = objective.masked_mean(policy_losses, batch.mask_BT) + objective.masked_mean(value_losses, batch.mask_BT)
        model.zero_grad()
        loss.backward()
        return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    plain_loss, plain = losses_and_gradients(batch_of([0, 1, 2]))
    loss, gradients = losses_and_gradients(batch_of([0, 1, 2], filler=filler, extra=extra))
    assert loss == about(plain_loss)
    assert len(gradients) > 20
    assert plain.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert (gradient - plain[name]).norm() <= RELATIVE * plain[name].norm(), name


def test_an_answer_ends_with_its_first_end_token() -> None:
    answers = torch.tensor([[4, END, 4, END], [4, 4, 4, 4], [END, 4, 4, 4], [3, 4, END, END]])
    assert answer_mask(answers, [END]).tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 0]]
    assert answer_mask(answers, [END, 3]).tolist()[3] == [1, 0, 0, 0]


def test_a_batch_has_no_more_padding_than_it_needs() -> None:
    whole = batch_of([0, 1, 2], extra=2)
    width = whole.ids_BL.shape[1] - whole.answer_BT.shape[1]
    answers = Answers(whole.ids_BL[:, :width], whole.attention_BL[:, :width], whole.answer_BT, whole.mask_BT)
    alone = answers.batch(torch.tensor([1]))
    assert alone.ids_BL.tolist() == [PROMPTS[1] + ANSWERS[1]]
    assert alone.attention_BL.sum() == len(PROMPTS[1] + ANSWERS[1])


@pytest.mark.parametrize("rows", [torch.arange(4), torch.tensor([2, 0]), torch.arange(4, device="meta")])
def test_answers_on_another_device_than_their_row_numbers_are_grouped_there(rows: torch.Tensor) -> None:
    empty = torch.empty((4, 3), dtype=torch.long, device="meta")
    groups = Answers(empty, empty, empty, empty).by_length(rows, 2)
    assert [group.shape for group in groups] == [(2,)] * (len(rows) // 2)
    assert {group.device.type for group in groups} == {"meta"}


def test_a_twin_shares_what_is_frozen_and_nothing_else(policy: PeftModel) -> None:
    other = twin(policy)
    for (name, mine), theirs in zip(policy.named_parameters(), other.parameters(), strict=True):
        assert (mine.data_ptr() == theirs.data_ptr()) is ("lora" not in name), name
    batch = batch_of([0, 1])
    with torch.no_grad():
        before = answer_logprobs(other, batch, 1.0)
        assert torch.equal(before, answer_logprobs(policy, batch, 1.0))
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter += 0.1
        assert torch.equal(before, answer_logprobs(other, batch, 1.0))
        assert not torch.equal(before, answer_logprobs(policy, batch, 1.0))


def test_a_twin_shares_the_scales_of_4_bit_weights() -> None:
    layer = bnb.nn.Linear4bit(64, 32, compute_dtype=torch.float32, quant_type="nf4").requires_grad_(False).to("cpu")
    numbers = torch.randn((2, 64), generator=torch.Generator().manual_seed(0))
    expected = layer(numbers)
    network = torch.nn.Sequential(layer, torch.nn.Linear(32, 1))
    other: Any = twin(network)
    assert other[0].weight is layer.weight
    assert other[0].quant_state is layer.quant_state is layer.weight.quant_state
    assert other[1].weight is not network[1].weight
    assert torch.equal(other[0](numbers), expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(None, RELATIVE), (torch.bfloat16, 0.05)])
def test_a_merged_copy_says_the_same_and_leaves_the_policy_alone(
    policy: PeftModel, dtype: torch.dtype | None, tolerance: float
) -> None:
    batch, reference = batch_of([0, 1, 2]), freeze(twin(policy))
    weights = {name: parameter.clone() for name, parameter in policy.named_parameters()}
    with torch.no_grad():
        with policy.disable_adapter():
            base = answer_logprobs(policy, batch, 1.0)
        expected = answer_logprobs(policy, batch, 1.0)
        copied = merged(policy, dtype)
        assert {parameter.dtype for parameter in copied.parameters()} == {dtype or torch.float32}
        assert torch.allclose(answer_logprobs(copied, batch, 1.0).float(), expected, rtol=tolerance)
        assert not torch.allclose(base, expected, rtol=tolerance)
        assert torch.equal(answer_logprobs(policy, batch, 1.0), expected)
        assert torch.equal(answer_logprobs(reference, batch, 1.0), expected)
    for name, parameter in policy.named_parameters():
        assert torch.equal(parameter, weights[name]), name
        assert parameter.requires_grad is ("lora" in name), name


def test_into_4_bit_weights_no_adapter_is_merged(policy: PeftModel) -> None:
    assert can_be_merged(policy)
    assert not can_be_merged(policy.get_base_model())
    quantized: Any = policy.get_base_model()
    quantized.is_quantized = True
    assert not can_be_merged(policy)


def test_what_a_rollout_is_loaded_to(tmp_path: Path) -> None:
    """Read on the CPU, whatever safetensors makes of a device's name, and then moved."""
    numbers, ids = torch.arange(6.0).view(2, 3), torch.arange(6).view(2, 3)
    answers = Answers(ids, ids + 1, ids + 2, ids + 3)
    rollout = Rollout(answers, *(numbers + place for place in range(5)), ids + 4, numbers[0])
    rollout.save(tmp_path / "rollout.safetensors")
    for device in (torch.device("cpu", 0), torch.device("meta")):
        loaded = Rollout.load(tmp_path / "rollout.safetensors", device)
        assert {loaded.tokens_S.device.type, loaded.answers.mask_NT.device.type} == {device.type}
    loaded = Rollout.load(tmp_path / "rollout.safetensors", torch.device("cpu", 0))
    assert torch.equal(loaded.returns_NT, rollout.returns_NT)
    assert torch.equal(loaded.answers.mask_NT, rollout.answers.mask_NT)


def test_a_frozen_twin_leaves_the_original_trainable(policy: PeftModel) -> None:
    freeze(twin(policy))
    assert any(parameter.requires_grad for parameter in policy.parameters())


def test_the_value_model_trains_an_adapter_of_its_own(policy: PeftModel) -> None:
    value_model = ValueModel.beside(policy)
    torch.nn.init.normal_(value_model.head.weight)
    value_model(batch_of([0, 1])).sum().backward()
    trained = {name for name, parameter in value_model.named_parameters() if parameter.grad is not None}
    assert {"head.weight", "head.bias"} < trained
    assert all("lora" in name or "head" in name for name in trained)
    assert all(parameter.grad is None for parameter in policy.parameters())


def test_a_classifier_can_be_the_value_model(base: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    classifier = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=1, pad_token_id=tokenizer.pad_token_id
    )
    value_model = ValueModel.from_classifier(classifier)
    with torch.no_grad():
        values = value_model(batch_of([0]))
        # A classifier judges at the last token: the value before an answer's second token is its score of prompt
        # and first token.
        score = classifier(input_ids=torch.tensor([PROMPTS[0] + ANSWERS[0][:1]])).logits.item()
    assert values[0, 1].item() == about(score)


def test_a_model_without_a_score_head_is_refused(policy: PeftModel) -> None:
    with pytest.raises(ValueError, match="no `score` head"):
        ValueModel.from_classifier(policy)
