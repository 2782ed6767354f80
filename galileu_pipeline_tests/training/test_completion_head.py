"""Scores of the tokens that count are those TRL works out over all positions, and so is their gradient."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM
from trl.trainer.utils import add_fused_lm_head

from galileu_pipeline.training.completion_head import completion_scores, score_completions_alone

OUTPUTS = ("log_probs", "entropy", "mean_logits", "is_top1")


@pytest.mark.parametrize("tokens", [0, 1, 128, 300])
def test_scores_and_gradient_are_those_of_a_log_softmax(tokens: int) -> None:
    random = torch.Generator().manual_seed(tokens)
    hidden, weight = torch.randn(tokens, 16, generator=random), torch.randn(50, 16, generator=random)
    ids, upstream = torch.randint(50, (tokens,), generator=random), torch.randn(tokens, generator=random)
    mine, theirs = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    logprobs, entropy, mean, likeliest = completion_scores(mine, weight, ids)
    logits = theirs @ weight.T
    expected = logits.log_softmax(-1)
    torch.testing.assert_close(logprobs, expected.gather(-1, ids[:, None])[:, 0])
    torch.testing.assert_close(entropy, -(expected.exp() * expected).sum(-1))
    torch.testing.assert_close(mean, logits.mean(-1))
    assert torch.equal(likeliest, logits.argmax(-1) == ids)
    assert not any(others.requires_grad for others in (entropy, mean, likeliest))
    (logprobs * upstream).sum().backward()
    (expected.gather(-1, ids[:, None])[:, 0] * upstream).sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)


def with_fused_head(base: Path, **config: Any) -> Any:
    model = AutoModelForCausalLM.from_pretrained(base)
    for name, value in config.items():
        setattr(model.config, name, value)
    model.get_output_embeddings().weight.requires_grad_(False)
    add_fused_lm_head(model, outputs=OUTPUTS)
    return model


@pytest.mark.parametrize("autocast", [False, True])
def test_a_model_answers_as_trl_made_it(tiny_base: Path, autocast: bool) -> None:
    ids = torch.randint(5, 300, (3, 20), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[:, :9] = -100
    labels[1, 15:] = -100
    mask = torch.ones_like(ids)
    mask[1, 15:] = 0
    told, gradients = [], []
    for ours in (False, True):
        model = with_fused_head(tiny_base)
        if ours:
            score_completions_alone(model)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            out = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True, use_cache=False)
        out.log_probs.sum().backward()
        told.append(out)
        gradients.append(model.model.layers[0].self_attn.q_proj.weight.grad)
        assert model(input_ids=ids, labels=labels).logits.shape[:2] == ids.shape  # without the fused head, as ever
    theirs, mine = told
    close: dict[str, float] = {"rtol": 2e-2, "atol": 2e-2} if autocast else {"rtol": 1e-4, "atol": 1e-5}
    for name in ("log_probs", "entropy", "mean_logits"):
        torch.testing.assert_close(mine[name], theirs[name], **close)
    assert torch.equal(mine.is_top1, theirs.is_top1)
    assert torch.equal(mine.label_mask, theirs.label_mask)
    difference = (gradients[1] - gradients[0]).norm() / gradients[0].norm()
    assert difference < (2e-2 if autocast else 1e-4)


@pytest.mark.parametrize("config", [{"final_logit_softcapping": 30.0}, {"logit_scale": 0.5}])
def test_a_head_that_does_more_stays_as_trl_made_it(tiny_base: Path, config: dict[str, float]) -> None:
    model = with_fused_head(tiny_base, **config)
    before = model.forward
    score_completions_alone(model)
    assert model.forward == before


def test_a_head_that_is_trained_stays_as_trl_made_it(tiny_base: Path) -> None:
    model = with_fused_head(tiny_base)
    model.get_output_embeddings().weight.requires_grad_()
    before = model.forward
    score_completions_alone(model)
    assert model.forward == before


def test_on_another_device_trls_head_is_asked(tiny_base: Path) -> None:
    model = with_fused_head(tiny_base)
    asked: list[dict[str, Any]] = []
    model.forward = lambda *_, **options: asked.append(options)
    score_completions_alone(model)
    labels = torch.zeros((1, 4), dtype=torch.long, device="meta")
    model.forward(input_ids=labels, labels=labels, fused_lm_head=True, num_items_in_batch=3)
    assert asked == [{"input_ids": labels, "labels": labels, "fused_lm_head": True, "num_items_in_batch": 3}]
