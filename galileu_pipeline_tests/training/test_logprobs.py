"""Log-probabilities of tokens and their gradient are those of a plain log-softmax, in less memory."""

import math

import pytest
import torch

from galileu_pipeline.training.logprobs import token_logprobs

BATCH, TOKENS, VOCABULARY = 3, 5, 11


def logits(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    shape = (BATCH, TOKENS, VOCABULARY)
    return (3 * torch.randn(shape, generator=torch.Generator().manual_seed(0))).to(dtype).requires_grad_()


def plain(logits: torch.Tensor, ids: torch.Tensor, temperature: float, forbidden: list[int]) -> torch.Tensor:
    shaped = logits.float()[:, : ids.shape[1]] / temperature
    allowed = [token for token in range(VOCABULARY) if token not in forbidden]
    places = torch.tensor([[allowed.index(token) for token in row] for row in ids.tolist()])
    return shaped[..., allowed].log_softmax(-1).gather(-1, places.unsqueeze(-1)).squeeze(-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tokens", [TOKENS, TOKENS - 1])
@pytest.mark.parametrize(("temperature", "forbidden"), [(1.0, []), (0.7, []), (1.0, [0, 7]), (1.3, [10])])
def test_they_and_their_gradient_are_those_of_a_log_softmax(
    dtype: torch.dtype, tokens: int, temperature: float, forbidden: list[int]
) -> None:
    ids = torch.randint(1, 7, (BATCH, tokens), generator=torch.Generator().manual_seed(1))
    weights = torch.randn((BATCH, tokens), generator=torch.Generator().manual_seed(2))
    mine, theirs = logits(dtype), logits(dtype)
    result = token_logprobs(mine, ids, temperature=temperature, forbidden=forbidden)
    expected = plain(theirs, ids, temperature, forbidden)
    torch.testing.assert_close(result, expected)
    (result * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)


def test_a_forbidden_token_is_impossible_and_spoils_no_gradient() -> None:
    mine, ids = logits(), torch.full((BATCH, TOKENS), 4)
    ids[0, 0] = 7
    result = token_logprobs(mine, ids, forbidden=[7])
    assert result[0, 0] == -math.inf
    torch.where(ids == 7, 0.0, result).sum().backward()
    assert mine.grad is not None
    assert torch.isfinite(mine.grad).all()
    assert (mine.grad[..., 7] == 0).all()


@pytest.mark.parametrize(("temperature", "forbidden"), [(1.0, []), (0.7, [3])])
def test_the_logits_are_kept_once(temperature: float, forbidden: list[int]) -> None:
    mine, ids = logits(), torch.ones((BATCH, TOKENS), dtype=torch.long)
    kept: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        token_logprobs(mine, ids, temperature=temperature, forbidden=forbidden)
    assert sum(kept) == mine.numel() + ids.numel()
