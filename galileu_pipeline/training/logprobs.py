"""Log-probabilities of given tokens. Shapes: B batch, T tokens, V vocabulary."""

import torch


def token_logprobs(logits_BTV: torch.Tensor, ids_BT: torch.Tensor) -> torch.Tensor:
    """log p of `ids_BT` under `logits_BTV`, natural logarithm, (B, T), fp32.

    Row by row, so that no second tensor of the size of the logits is held, whatever their precision.
    """
    rows = zip(logits_BTV, ids_BT, strict=True)
    return torch.stack([_of_row(logits_TV, ids_T) for logits_TV, ids_T in rows])


def _of_row(logits_TV: torch.Tensor, ids_T: torch.Tensor) -> torch.Tensor:
    logits_TV = logits_TV.float()
    chosen_T = logits_TV.gather(-1, ids_T.unsqueeze(-1)).squeeze(-1)
    return chosen_T - logits_TV.logsumexp(-1)
