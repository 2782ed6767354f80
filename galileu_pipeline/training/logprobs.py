"""Log-probabilities of given tokens. Shapes: B batch, T tokens, V vocabulary."""

import math
from collections.abc import Sequence
from typing import Any

import torch


def token_logprobs(
    logits_BTV: torch.Tensor, ids_BT: torch.Tensor, *, temperature: float = 1.0, forbidden: Sequence[int] = ()
) -> torch.Tensor:
    """log p of `ids_BT` under `logits_BTV`, natural logarithm, (B, T), fp32.

    Args:
        logits_BTV: of as many tokens or more; those after the last id do not count.
        ids_BT: the tokens.
        temperature: divides the logits.
        forbidden: tokens that cannot come; the others share all of the probability.

    A row at a time, forwards and backwards: beside the logits nothing of their size is held but, in the backward pass,
    their gradient.
    """
    return _TokenLogprobs.apply(logits_BTV, ids_BT, temperature, tuple(forbidden))


class _TokenLogprobs(torch.autograd.Function):
    """Its gradient by hand: autograd would keep a copy of the logits for each operation on them."""

    @staticmethod
    def forward(
        ctx: Any, logits_BTV: torch.Tensor, ids_BT: torch.Tensor, temperature: float, forbidden: tuple[int, ...]
    ) -> torch.Tensor:
        ctx.save_for_backward(logits_BTV, ids_BT)
        ctx.shape = (temperature, forbidden)
        rows = zip(logits_BTV, ids_BT, strict=True)
        return torch.stack([_of_row(_shaped(logits_TV, ids_T, *ctx.shape), ids_T) for logits_TV, ids_T in rows])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (gradient_BT,) = gradients
        logits_BTV, ids_BT = ctx.saved_tensors
        result_BTV = torch.zeros_like(logits_BTV)
        temperature, _ = ctx.shape
        for row, (logits_TV, ids_T) in enumerate(zip(logits_BTV, ids_BT, strict=True)):
            shaped_TV = _shaped(logits_TV, ids_T, *ctx.shape)
            result_BTV[row, : len(ids_T)] = logprob_gradient(shaped_TV, ids_T, gradient_BT[row] / temperature)
        return result_BTV, None, None, None


def logprob_gradient(logits_TV: torch.Tensor, ids_T: torch.Tensor, upstream_T: torch.Tensor) -> torch.Tensor:
    """What `upstream_T`, the gradient by log p of `ids_T`, is by the logits, (T, V), fp32 as they are."""
    # d log p(id) / d logit(v) = [v is id] - p(v)
    upstream_T1 = upstream_T.unsqueeze(-1)
    return logits_TV.softmax(-1).mul_(-upstream_T1).scatter_add_(-1, ids_T.unsqueeze(-1), upstream_T1)


def _shaped(
    logits_TV: torch.Tensor, ids_T: torch.Tensor, temperature: float, forbidden: tuple[int, ...]
) -> torch.Tensor:
    """What the probabilities are the softmax of."""
    logits_TV = logits_TV[: len(ids_T)].float()
    if temperature != 1.0:
        logits_TV = logits_TV / temperature
    if forbidden:
        logits_TV = logits_TV.index_fill(-1, torch.tensor(forbidden, device=logits_TV.device), -math.inf)
    return logits_TV


def _of_row(logits_TV: torch.Tensor, ids_T: torch.Tensor) -> torch.Tensor:
    chosen_T = logits_TV.gather(-1, ids_T.unsqueeze(-1)).squeeze(-1)
    return chosen_T - logits_TV.logsumexp(-1)
