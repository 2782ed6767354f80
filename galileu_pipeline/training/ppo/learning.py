"""From judged answers to what an update learns of them, and to the figures of a rollout.

Shapes: N answers of a rollout, T tokens of an answer.
"""

import torch

from galileu_pipeline.training.ppo import objective
from galileu_pipeline.training.ppo.config import PPOConfig
from galileu_pipeline.training.ppo.experience import Experience
from galileu_pipeline.training.ppo.objective import Moments
from galileu_pipeline.training.ppo.processes import PooledFigures
from galileu_pipeline.training.ppo.rollout import Rollout


class RewardShaper:
    """Rewards as the update sees them. It remembers those of all rollouts so far: their `moments`."""

    def __init__(self, args: PPOConfig, processes: PooledFigures) -> None:
        self.moments = Moments()
        self._args = args
        self._processes = processes

    def shape(self, sampled: Experience) -> torch.Tensor:
        """Of the answers of a new rollout, (N,)."""
        if self._args.normalize_rewards:
            self.moments = self.moments.join(self._processes.moments(sampled.rewards_N))
        return self.shaped(sampled.rewards_N, sampled.ended_N)

    def shaped(self, rewards_N: torch.Tensor, ended_N: torch.Tensor) -> torch.Tensor:
        """Normalised and clipped, less the penalty for answers that did not end, (N,)."""
        args = self._args
        if args.normalize_rewards:
            rewards_N = objective.whiten(rewards_N, self.moments)
        if args.reward_clip is not None:
            rewards_N = rewards_N.clamp(-args.reward_clip, args.reward_clip)
        return (rewards_N - args.missing_eos_penalty * (~ended_N)).float()


def rollout_of(
    sampled: Experience,
    rewards_N: torch.Tensor,
    values_NT: torch.Tensor,
    *,
    kl_coef: float,
    args: PPOConfig,
    processes: PooledFigures,
) -> Rollout:
    """Advantages and returns of answers with these shaped rewards, and the order in which the passes take them."""
    answers = sampled.answers
    mask_NT, count = answers.mask_NT, len(answers)
    # k1, since it stands in the reward: see `kl_estimate`.
    kl_NT = objective.kl_estimate(sampled.logprobs_NT, sampled.ref_logprobs_NT, "k1")
    rewards_NT = objective.token_rewards(rewards_N, kl_NT, mask_NT, kl_coef)
    advantages_NT, returns_NT = objective.generalized_advantages(rewards_NT, values_NT, mask_NT, args.gamma, args.lam)
    if args.whiten_advantages:
        moments = processes.moments(advantages_NT[mask_NT.bool()])
        advantages_NT = objective.masked(objective.whiten(advantages_NT, moments), mask_NT)
    order_KN = torch.stack([torch.randperm(count) for _ in range(args.num_ppo_epochs)])
    tokens_S = torch.stack(
        [answers.lengths_N[rows].sum() for order in order_KN for rows in order.chunk(args.num_minibatches)]
    )
    return Rollout(
        answers=answers,
        logprobs_NT=sampled.logprobs_NT,
        ref_logprobs_NT=sampled.ref_logprobs_NT,
        values_NT=values_NT,
        advantages_NT=advantages_NT,
        returns_NT=returns_NT,
        order_KN=order_KN,
        tokens_S=processes.mean(tokens_S.float()),
    )


def figures_of(
    sampled: Experience, rewards_N: torch.Tensor, rollout: Rollout, *, kl_coef: float, processes: PooledFigures
) -> dict[str, float]:
    """Means over the answers of all processes, whose shaped rewards are `rewards_N`."""
    mask_NT = sampled.answers.mask_NT
    k3_NT = objective.kl_estimate(sampled.logprobs_NT, sampled.ref_logprobs_NT, "k3")
    figures = {
        "reward": float(sampled.rewards_N.mean()),
        "rlhf_reward": float((rewards_N - kl_coef * sampled.kl_N).mean()),
        "kl": float(sampled.kl_N.mean()),
        "kl_k3": float(objective.masked(k3_NT, mask_NT).sum(1).mean()),
        "entropy": float(objective.masked_mean(-sampled.logprobs_NT, mask_NT)),
        "answer_length": float(sampled.answers.lengths_N.float().mean()),
        "ended": float(sampled.ended_N.float().mean()),
        "explained_variance": objective.explained_variance(rollout.values_NT, rollout.returns_NT, mask_NT),
    }
    figures_F = torch.tensor(list(figures.values()), device=mask_NT.device)
    return dict(zip(figures, processes.mean(figures_F).tolist(), strict=True))
