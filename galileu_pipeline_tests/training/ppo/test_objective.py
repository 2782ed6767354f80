"""The formulas, against numbers worked out by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from galileu_pipeline.training.ppo import objective
from galileu_pipeline.training.ppo.objective import KlController, KlEstimator, Moments


def test_gae_of_a_worked_example() -> None:
    # gamma 0.9, lambda 0.8, so gamma * lambda = 0.72:
    #   delta_2 = 1 - 0.2 = 0.8                  A_2 = 0.8
    #   delta_1 = 0.9 * 0.2 - 0.4 = -0.22        A_1 = -0.22 + 0.72 * 0.8 = 0.356
    #   delta_0 = 0.9 * 0.4 - 0.5 = -0.14        A_0 = -0.14 + 0.72 * 0.356 = 0.11632
    advantages, returns = objective.generalized_advantages(
        torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.5, 0.4, 0.2]]), torch.ones(1, 3), gamma=0.9, lam=0.8
    )
    assert advantages.tolist() == [pytest.approx([0.11632, 0.356, 0.8])]
    assert returns.tolist() == [pytest.approx([0.61632, 0.756, 1.0])]


def test_gae_ends_with_the_answer() -> None:
    """The same answer, with padding after it that holds nonsense."""
    rewards, values = torch.tensor([[0.0, 1.0, 7.0, math.nan]]), torch.tensor([[0.5, 0.2, math.inf, 3.0]])
    mask = torch.tensor([[1, 1, 0, 0]])
    advantages, returns = objective.generalized_advantages(rewards, values, mask, 0.9, 0.8)
    short = objective.generalized_advantages(rewards[:, :2], values[:, :2], mask[:, :2], 0.9, 0.8)
    assert advantages.tolist() == [[*short[0][0].tolist(), 0.0, 0.0]]
    assert returns.tolist() == [[*short[1][0].tolist(), 0.0, 0.0]]


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=12))
def test_gae_with_lambda_one_has_the_rewards_to_go_as_returns(steps: list[tuple[float, float]]) -> None:
    rewards, values = (torch.tensor([column], dtype=torch.float64) for column in zip(*steps, strict=True))
    _, returns = objective.generalized_advantages(rewards, values, torch.ones(1, len(steps)), gamma=1.0, lam=1.0)
    to_go = rewards.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(returns, to_go)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "clipped"),
    [
        (1.5, 1.0, -1.2, True),  # already likelier: no more to gain past 1 + eps
        (1.5, -1.0, 1.5, False),  # likelier, and bad: the whole loss
        (0.5, 1.0, -0.5, False),
        (0.5, -1.0, 0.8, True),
        (1.1, 2.0, -2.2, False),
    ],
)
def test_policy_loss_by_hand(ratio: float, advantage: float, loss: float, clipped: bool) -> None:
    losses, was_clipped = objective.policy_losses(
        torch.tensor([[math.log(ratio) - 1.0]]), torch.tensor([[-1.0]]), torch.tensor([[advantage]]), clip_range=0.2
    )
    assert losses.item() == pytest.approx(loss)
    assert was_clipped.item() is clipped


def test_a_clipped_token_has_no_gradient() -> None:
    logprobs = torch.tensor([[math.log(1.5), math.log(1.1)]], requires_grad=True)
    losses, _ = objective.policy_losses(logprobs, torch.zeros(1, 2), torch.ones(1, 2), clip_range=0.2)
    losses.sum().backward()
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == [pytest.approx([0.0, -1.1])]


@pytest.mark.parametrize(
    ("value", "old", "target", "loss", "clipped"),
    [
        (1.0, 0.0, 2.0, (0.2 - 2.0) ** 2 / 2, True),  # moved towards the target, but only 0.2 of it counts
        (0.1, 0.0, 2.0, (0.1 - 2.0) ** 2 / 2, False),
        (1.0, 0.0, -1.0, (1.0 + 1.0) ** 2 / 2, False),  # moved away: the larger error counts
    ],
)
def test_value_loss_by_hand(value: float, old: float, target: float, loss: float, clipped: bool) -> None:
    losses, was_clipped = objective.value_losses(
        torch.tensor([[value]]), torch.tensor([[old]]), torch.tensor([[target]]), clip_range=0.2
    )
    assert losses.item() == pytest.approx(loss)
    assert was_clipped.item() is clipped


def _sampled_estimates(estimator: KlEstimator) -> tuple[torch.Tensor, float]:
    """Estimates at 200,000 tokens sampled from one distribution over five, and the exact KL to another."""
    policy = torch.tensor([0.1, 0.2, 0.4, 0.25, 0.05], dtype=torch.float64)
    reference = torch.tensor([0.3, 0.1, 0.2, 0.25, 0.15], dtype=torch.float64)
    tokens = torch.multinomial(policy, 200_000, replacement=True, generator=torch.Generator().manual_seed(0))
    estimates = objective.kl_estimate(policy.log()[tokens], reference.log()[tokens], estimator)
    return estimates, float((policy * (policy / reference).log()).sum())


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_k1_and_k3_are_unbiased(estimator: KlEstimator) -> None:
    estimates, exact = _sampled_estimates(estimator)
    standard_error = float(estimates.std()) / math.sqrt(len(estimates))
    assert abs(float(estimates.mean()) - exact) < 4 * standard_error


def test_k3_varies_less_than_k1() -> None:
    assert _sampled_estimates("k3")[0].std() < _sampled_estimates("k1")[0].std()


@given(st.floats(-20, 0), st.floats(-20, 0))
def test_k2_and_k3_are_never_negative(logprob: float, ref_logprob: float) -> None:
    mine, reference = torch.tensor(logprob, dtype=torch.float64), torch.tensor(ref_logprob, dtype=torch.float64)
    assert objective.kl_estimate(mine, reference, "k2") == pytest.approx((logprob - ref_logprob) ** 2 / 2)
    assert objective.kl_estimate(mine, reference, "k3") >= 0


def test_k3_by_hand() -> None:
    # r = 0.5 / 0.25 = 2: 2 - 1 - log 2
    estimate = objective.kl_estimate(torch.tensor(math.log(0.25)), torch.tensor(math.log(0.5)), "k3")
    assert estimate.item() == pytest.approx(1 - math.log(2))


def test_without_a_range_the_value_loss_is_not_clipped() -> None:
    value = torch.tensor([[1.0, -3.0]], requires_grad=True)
    losses, was_clipped = objective.value_losses(value, torch.zeros(1, 2), torch.tensor([[2.0, 1.0]]), clip_range=None)
    assert losses.tolist() == [[0.5, 8.0]]
    assert not was_clipped.any()
    losses.sum().backward()
    assert value.grad is not None
    assert value.grad.tolist() == [[-1.0, -4.0]]


def _five_tokens(distance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of a policy over five tokens, and log-probabilities of a reference that far away."""
    generator = torch.Generator().manual_seed(3)
    start, step = torch.randn((2, 5), dtype=torch.float64, generator=generator)
    return start + distance * step, start.log_softmax(-1)


def _gradients(distance: float, estimator: KlEstimator) -> dict[str, torch.Tensor]:
    """By the policy's logits, exactly: of the KL, and what is expected of an estimate in the reward and as a loss."""
    logits, reference = _five_tokens(distance)
    logits.requires_grad_()
    logprobs = logits.log_softmax(-1)
    sampled = logprobs.exp().detach()  # how often each token comes
    estimates = objective.kl_estimate(logprobs, reference, estimator)
    wholes = {
        "kl": (logprobs.exp() * (logprobs - reference)).sum(),
        "reward": (sampled * estimates.detach() * logprobs).sum(),
        "loss": (sampled * estimates).sum(),
    }
    return {name: torch.autograd.grad(whole, logits, retain_graph=True)[0] for name, whole in wholes.items()}


# Two policies near their reference and far from it: KL of 0.006 and 0.56 nats.
NEAR, FAR = 0.1, 1.5


@pytest.mark.parametrize("distance", [NEAR, FAR])
@pytest.mark.parametrize(("estimator", "place"), [("k1", "reward"), ("k2", "loss")])
def test_k1_in_the_reward_and_k2_as_a_loss_have_the_gradient_of_the_kl(
    estimator: KlEstimator, place: str, distance: float
) -> None:
    gradients = _gradients(distance, estimator)
    torch.testing.assert_close(gradients[place], gradients["kl"])


@pytest.mark.parametrize(
    ("estimator", "place", "distance"),
    [
        *(("k2", "reward", NEAR), ("k2", "reward", FAR), ("k3", "reward", NEAR), ("k3", "reward", FAR)),
        *(("k1", "loss", NEAR), ("k1", "loss", FAR), ("k3", "loss", FAR)),
    ],
)
def test_elsewhere_they_have_another(estimator: KlEstimator, place: str, distance: float) -> None:
    gradients = _gradients(distance, estimator)
    ratio = float(gradients[place].norm() / gradients["kl"].norm())
    cosine = float(torch.cosine_similarity(gradients[place], gradients["kl"], dim=0)) if ratio > 1e-9 else 0.0
    print(f"{estimator} as {place}, distance {distance}: norm ratio {ratio:.2f}, cosine {cosine:.2f}")
    assert not 0.8 < ratio < 1.25 or cosine < 0.8


def test_the_score_comes_with_the_last_token() -> None:
    kl = torch.tensor([[0.5, 1.0, math.nan], [0.1, 0.2, 0.3]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    rewards = objective.token_rewards(torch.tensor([2.0, -1.0]), kl, mask, kl_coef=0.1)
    assert rewards.tolist() == [pytest.approx([-0.05, 1.9, 0.0]), pytest.approx([-0.01, -0.02, -1.03])]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20), st.lists(st.floats(-100, 100), max_size=20))
def test_moments_join_to_those_of_everything(first: list[float], second: list[float]) -> None:
    joined = Moments.of(torch.tensor(first)).join(Moments.of(torch.tensor(second)))
    every = torch.tensor(first + second).double()
    assert joined.count == len(every)
    assert joined.mean == pytest.approx(float(every.mean()), abs=1e-6)
    assert joined.variance == pytest.approx(float(every.var(correction=0)), abs=1e-4, rel=1e-5)


def test_whitened_numbers_have_mean_0_and_variance_1() -> None:
    numbers = torch.tensor([1.0, 4.0, -2.0, 7.5])
    white = objective.whiten(numbers, Moments.of(numbers))
    assert white.mean().item() == pytest.approx(0, abs=1e-6)
    assert white.var(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_the_adaptive_coefficient_by_hand() -> None:
    controller = KlController(0.1, target=6.0, horizon=100)
    controller.update(kl=6.6, answers=50)  # 10 % too far, half a horizon: 5 % more
    assert controller.coef == pytest.approx(0.105)
    controller.update(kl=60.0, answers=100)  # an error counts for 20 % at the most
    assert controller.coef == pytest.approx(0.126)
    controller.update(kl=0.0, answers=100)
    assert controller.coef == pytest.approx(0.1008)
    controller.update(kl=0.0, answers=10_000)  # however many at once, it stays a penalty
    assert controller.coef == pytest.approx(0.08064)


def test_a_fixed_coefficient_stays() -> None:
    controller = KlController(0.1)
    controller.update(kl=60.0, answers=100)
    assert controller.coef == 0.1


def test_explained_variance_by_hand() -> None:
    returns, mask = torch.tensor([[1.0, 3.0, 99.0]]), torch.tensor([[1, 1, 0]])
    assert objective.explained_variance(returns, returns, mask) == 1.0
    assert objective.explained_variance(torch.tensor([[2.0, 2.0, 0.0]]), returns, mask) == 0.0
    # errors 0.5 and -0.5: variance 0.25 of 1
    assert objective.explained_variance(torch.tensor([[0.5, 3.5, 0.0]]), returns, mask) == pytest.approx(0.75)


def test_masked_mean_counts_tokens() -> None:
    mean = objective.masked_mean(torch.tensor([[1.0, math.nan], [2.0, 6.0]]), torch.tensor([[1, 0], [1, 1]]))
    assert mean.item() == pytest.approx(3.0)
