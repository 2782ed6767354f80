"""The output layer over the tokens that count alone, on a CPU.

TRL (1.16) has its trainers' models score tokens without holding all logits. Where there is no Triton it scores every
position, prompts and padding too, of which a trainer then reads the completions' alone; on SmolLM2-135M that was more
than half of the time of a step of DPO.

Shapes: B batch, L tokens, N tokens that count, D hidden size, V vocabulary.
"""

import functools
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers.utils import ModelOutput

from galileu_pipeline.training.logprobs import logprob_gradient

_CHUNK_TOKENS = 128  # whose logits are held at a time
# What some architectures do to their logits, by the names in their configs.
_TRANSFORMS = ("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling")


@dataclass
class ScoredTokens(ModelOutput):
    """What TRL's trainers read of a fused head: (B, L - 1) each, 0 where a token does not count.

    Attributes:
        log_probs: of the tokens, nats; the only one with a gradient.
        entropy: of the distribution that each was one of, nats.
        mean_logits: over the vocabulary.
        is_top1: it is the likeliest token.
        label_mask: it counts.
    """

    log_probs: torch.Tensor | None = None
    entropy: torch.Tensor | None = None
    mean_logits: torch.Tensor | None = None
    is_top1: torch.Tensor | None = None
    label_mask: torch.Tensor | None = None


def score_completions_alone(model: Any) -> None:
    """Make a causal model that TRL gave a fused head use `completion_scores` on a CPU.

    One whose output layer is trained, or does more than multiply, stays as TRL made it.
    """
    head, config = model.get_output_embeddings(), model.config.get_text_config()
    plain = head.bias is None and not any(getattr(config, name, None) for name in _TRANSFORMS)
    if not plain or head.weight.requires_grad:
        return
    as_trl_made_it = model.forward

    @functools.wraps(type(model).forward)  # `generate` looks at the signature
    def forward(
        self: Any, *args: Any, fused_lm_head: bool = False, labels: torch.Tensor | None = None, **options: Any
    ) -> Any:
        if not fused_lm_head or labels is None or labels.device.type != "cpu" or options.get("output_router_logits"):
            return as_trl_made_it(*args, fused_lm_head=fused_lm_head, labels=labels, **options)
        options.pop("num_items_in_batch", None)  # TRL's trainers work out the loss themselves
        hidden_BLD = self.base_model(*args, **{**options, "use_cache": False}).last_hidden_state[:, :-1]
        next_BL = labels[:, 1:]
        mask_BL = next_BL != -100
        scores = completion_scores(hidden_BLD[mask_BL], head.weight, next_BL[mask_BL])
        placed = (score.new_zeros(mask_BL.shape).masked_scatter(mask_BL, score) for score in scores)
        names = ("log_probs", "entropy", "mean_logits", "is_top1")
        return ScoredTokens(**dict(zip(names, placed, strict=True)), label_mask=mask_BL)

    model.forward = types.MethodType(forward, model)


def completion_scores(
    hidden_ND: torch.Tensor, weight_VD: torch.Tensor, ids_N: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of each token, under the logits `hidden @ weight.T`, (N,) each, fp32 but for the last.

    Its log-probability, with a gradient to `hidden_ND`; and without one, the entropy of its distribution (nats), the
    mean of the logits, and whether it is the likeliest token.
    """
    return _CompletionScores.apply(hidden_ND, weight_VD, ids_N)


class _CompletionScores(torch.autograd.Function):
    """Some tokens at a time; their logits are worked out again for the gradient, so that none are kept."""

    @staticmethod
    def forward(ctx: Any, hidden_ND: torch.Tensor, weight_VD: torch.Tensor, ids_N: torch.Tensor) -> Any:
        device = hidden_ND.device.type
        ctx.dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden_ND.dtype
        ctx.save_for_backward(hidden_ND, weight_VD, ids_N)
        parts = [
            _scores(_logits(chunk_ND, weight_VD, ctx.dtype), chunk_N) for chunk_ND, chunk_N in _chunks(hidden_ND, ids_N)
        ]
        logprobs_N, *others = (torch.cat(columns) for columns in zip(*parts, strict=True))
        ctx.mark_non_differentiable(*others)
        return logprobs_N, *others

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        hidden_ND, weight_VD, ids_N = ctx.saved_tensors
        parts = [
            logprob_gradient(_logits(chunk_ND, weight_VD, ctx.dtype), chunk_N, upstream_N).to(ctx.dtype)
            @ weight_VD.to(ctx.dtype)
            for chunk_ND, chunk_N, upstream_N in _chunks(hidden_ND, ids_N, gradients[0])
        ]
        return torch.cat(parts).to(hidden_ND.dtype), None, None


def _chunks(*columns: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    return zip(*(column.split(_CHUNK_TOKENS) for column in columns), strict=True)


def _logits(hidden_ND: torch.Tensor, weight_VD: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return functional.linear(hidden_ND.to(dtype), weight_VD.to(dtype)).float()


def _scores(logits_NV: torch.Tensor, ids_N: torch.Tensor) -> tuple[torch.Tensor, ...]:
    logprobs_NV = logits_NV.log_softmax(-1)
    entropy_N = -(logprobs_NV.exp() * logprobs_NV).sum(-1)
    chosen_N = logprobs_NV.gather(-1, ids_N.unsqueeze(-1)).squeeze(-1)
    return chosen_N, entropy_N, logits_NV.mean(-1), logits_NV.argmax(-1) == ids_N
