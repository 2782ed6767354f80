"""The formulas of PPO on language models, on tensors alone.

Shapes: B answers, T tokens of an answer. `mask_BT` is 1 from an answer's first token to its last, the end token
included, and 0 on the padding after it. What stands in the padding never matters, not even NaN.

Sources: PPO, Schulman et al., 1707.06347; GAE, Schulman et al., 1506.02438; Ziegler et al., 1909.08593; InstructGPT,
Ouyang et al., 2203.02155; the N+ implementation details of RLHF with PPO, Huang et al., 2403.17031.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch

KlEstimator = Literal["k1", "k2", "k3"]


def masked(values_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    """`values_BT` with zeros in the padding."""
    return torch.where(mask_BT.bool(), values_BT, torch.zeros((), dtype=values_BT.dtype, device=values_BT.device))


def masked_mean(values_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    """Mean over the tokens of all answers, ()."""
    return masked(values_BT, mask_BT).sum() / mask_BT.sum()


def kl_estimate(
    logprobs_BT: torch.Tensor, ref_logprobs_BT: torch.Tensor, estimator: KlEstimator = "k1"
) -> torch.Tensor:
    """An estimate of KL(policy || reference) from each sampled token, (B, T), in nats.

    With r = reference / policy at the token the policy sampled: k1 = -log r and k3 = r - 1 - log r are unbiased, k2 =
    (log r)^2 / 2 is biased and of low variance; k2 and k3 are never negative (Schulman, "Approximating KL divergence",
    2020).

    What a good estimate is good for is another matter (2510.01555; 2512.21852). A penalty in the reward gets its
    gradient by the policy gradient, from the value of the estimate: of k1 that is the gradient of the KL; of k2 and k3,
    which grow with the square of a small log r, it nearly vanishes and points elsewhere. As a loss, an estimate is
    differentiated itself: then it is k2 whose gradient is that of the KL. So here k1 is in the reward, k2 in the loss,
    and k3, which varies little, is for people to read.
    """
    log_ratio_BT = ref_logprobs_BT - logprobs_BT
    if estimator == "k1":
        return -log_ratio_BT
    if estimator == "k2":
        return log_ratio_BT.square() / 2
    return torch.expm1(log_ratio_BT) - log_ratio_BT


def token_rewards(scores_B: torch.Tensor, kl_BT: torch.Tensor, mask_BT: torch.Tensor, kl_coef: float) -> torch.Tensor:
    """-kl_coef * KL at every token, and the answer's score at its last one, (B, T).

    InstructGPT, eq. 2, the KL penalty spread over the tokens as in 2403.17031, detail 13.
    """
    rewards_BT = masked(-kl_coef * kl_BT, mask_BT)
    last_B1 = mask_BT.long().sum(1, keepdim=True) - 1
    return rewards_BT.scatter_add(1, last_B1, scores_B[:, None].to(rewards_BT.dtype))


def generalized_advantages(
    rewards_BT: torch.Tensor, values_BT: torch.Tensor, mask_BT: torch.Tensor, gamma: float, lam: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages and returns (advantage + value, the value model's target), (B, T) each.

    GAE, eq. 16: A_t = delta_t + gamma * lam * A_(t+1), with delta_t = r_t + gamma * V_(t+1) - V_t. An episode is one
    answer; after its last token there is neither value nor advantage.
    """
    rewards_BT, values_BT = masked(rewards_BT, mask_BT), masked(values_BT, mask_BT)
    advantages_BT = torch.zeros_like(rewards_BT)
    following_B = next_value_B = torch.zeros_like(rewards_BT[:, 0])
    for step in reversed(range(rewards_BT.shape[1])):
        delta_B = rewards_BT[:, step] + gamma * next_value_B - values_BT[:, step]
        following_B = masked(delta_B + gamma * lam * following_B, mask_BT[:, step])
        next_value_B = values_BT[:, step]
        advantages_BT[:, step] = following_B
    return advantages_BT, advantages_BT + values_BT


def policy_losses(
    logprobs_BT: torch.Tensor, old_logprobs_BT: torch.Tensor, advantages_BT: torch.Tensor, clip_range: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The clipped surrogate at every token as a loss, and whether the clipped side was the larger one, (B, T) each.

    PPO, eq. 7: -min(ratio * A, clip(ratio, 1 - eps, 1 + eps) * A).
    """
    ratio_BT = (logprobs_BT - old_logprobs_BT).exp()
    plain_BT = -advantages_BT * ratio_BT
    clipped_BT = -advantages_BT * ratio_BT.clamp(1 - clip_range, 1 + clip_range)
    return torch.maximum(plain_BT, clipped_BT), clipped_BT > plain_BT


def value_losses(
    values_BT: torch.Tensor, old_values_BT: torch.Tensor, returns_BT: torch.Tensor, clip_range: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Half the squared error at every token, and whether the clipped side was the larger one, (B, T) each.

    The prediction may leave its value at the rollout by `clip_range`, as in OpenAI's implementations (2403.17031,
    detail 14); by any distance, if that is None.
    """
    if clip_range is None:
        clip_range = math.inf
    clipped_values_BT = torch.clamp(values_BT, old_values_BT - clip_range, old_values_BT + clip_range)
    plain_BT = (values_BT - returns_BT).square()
    clipped_BT = (clipped_values_BT - returns_BT).square()
    return torch.maximum(plain_BT, clipped_BT) / 2, clipped_BT > plain_BT


def approximate_kl(logprobs_BT: torch.Tensor, old_logprobs_BT: torch.Tensor) -> torch.Tensor:
    """KL(policy at the rollout || policy now) from each token, (B, T), in nats: k3, hence never negative."""
    return kl_estimate(old_logprobs_BT, logprobs_BT, "k3")


def explained_variance(values_BT: torch.Tensor, returns_BT: torch.Tensor, mask_BT: torch.Tensor) -> float:
    """1 - Var(return - value) / Var(return): 1 is a perfect value model, 0 one that says the same everywhere."""
    chosen = mask_BT.bool()
    returns, errors = returns_BT[chosen], (returns_BT - values_BT)[chosen]
    spread = returns.var(correction=0)
    return float(1 - errors.var(correction=0) / spread) if spread > 0 else 0.0


@dataclass
class Moments:
    """Mean and variance (of the population) of the numbers seen so far, joined as in Chan et al., 1979."""

    count: float = 0.0
    mean: float = 0.0
    variance: float = 0.0

    @classmethod
    def of(cls, numbers: torch.Tensor) -> "Moments":
        """Those of `numbers`, any shape, computed in double precision."""
        numbers = numbers.double()
        return cls(numbers.numel(), float(numbers.mean()), float(numbers.var(correction=0))) if len(numbers) else cls()

    def join(self, other: "Moments") -> "Moments":
        """Those of both sets of numbers together."""
        count = self.count + other.count
        if count == 0:
            return Moments()
        distance = other.mean - self.mean
        squares = self.variance * self.count + other.variance * other.count
        return Moments(
            count,
            self.mean + distance * other.count / count,
            (squares + distance**2 * self.count * other.count / count) / count,
        )

    @property
    def std(self) -> float:
        return math.sqrt(self.variance)


def whiten(values: torch.Tensor, moments: Moments, epsilon: float = 1e-8) -> torch.Tensor:
    """`values` with mean 0 and variance 1, where `moments` are those of all of them (2403.17031, detail 17)."""
    return (values - moments.mean) / math.sqrt(moments.variance + epsilon)


@dataclass
class KlController:
    """The coefficient of the KL penalty: fixed, or held at the KL one wants (Ziegler et al., 1909.08593, section 2.2).

    Attributes:
        coef: the coefficient now.
        target: KL of an answer to aim at, nats; None for a fixed coefficient.
        horizon: answers over which an error of 20 % or more changes the coefficient by 20 %; more at once count as so
            many.
    """

    coef: float
    target: float | None = None
    horizon: int = 1

    def update(self, kl: float, answers: int) -> None:
        """Take the mean `kl` of `answers` sampled answers into account."""
        if self.target is not None:
            error = min(max(kl / self.target - 1, -0.2), 0.2)
            self.coef *= 1 + error * min(answers / self.horizon, 1.0)
