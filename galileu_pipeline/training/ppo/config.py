"""What can be set of PPO, beside everything that transformers' TrainingArguments offer."""

from dataclasses import dataclass, field

from transformers import TrainingArguments

# By default the value model learns this many times as fast as the policy, which it has to keep up with; but above this
# rate an adapter of a small model was seen to break: it says the same everywhere.
_VALUE_RATE, _LARGEST_VALUE_RATE = 10.0, 5e-3


@dataclass
class PPOConfig(TrainingArguments):
    """Settings of `PPOTrainer`.

    One iteration is a rollout (answers sampled to the next prompts) and `num_ppo_epochs` passes over it, each in
    `num_minibatches` optimizer steps. A process's minibatch has `per_device_train_batch_size *
    gradient_accumulation_steps` answers, so `answers_per_rollout` is `num_minibatches` times as many. How a minibatch
    is cut into micro-batches does not change the result. `num_train_epochs` counts passes over the prompts, `max_steps`
    optimizer steps.

    Example:
        PPOConfig(output_dir="out", per_device_train_batch_size=8, gradient_accumulation_steps=4, num_ppo_epochs=4)
        samples 32 answers a process and iteration and learns from them in 4 optimizer steps.
    """

    learning_rate: float = field(default=1e-5, metadata={"help": "peak rate of AdamW; 1e-5 suits LoRA on 1B to 8B"})
    logging_steps: float = field(default=1, metadata={"help": "optimizer steps between two points of the curves"})

    # Rollout
    max_prompt_length: int = field(default=512, metadata={"help": "tokens; longer prompts are left out and counted"})
    max_completion_length: int = field(default=128, metadata={"help": "tokens an answer has at most"})
    temperature: float = field(default=1.0, metadata={"help": "of sampling, and of every log-probability"})
    per_device_rollout_batch_size: int = field(default=32, metadata={"help": "answers sampled at once"})
    per_device_scoring_batch_size: int = field(
        default=32,
        metadata={"help": "answers that reward model, reference and value model read in one forward pass"},
    )
    merge_for_rollouts: bool = field(
        default=True,
        metadata={
            "help": "sample from a copy of the policy with its adapter merged into the weights, in bf16 where training "
            "is: faster, for the memory of one more base while sampling. Log-probabilities are always the policy's own"
        },
    )

    # Reward
    missing_eos_penalty: float = field(
        default=1.0, metadata={"help": "taken off the reward of an answer without an end token (2403.17031, detail 5)"}
    )
    normalize_rewards: bool = field(
        default=True,
        metadata={
            "help": "divide by the standard deviation of all rewards so far, after taking off their mean: a "
            "Bradley-Terry reward has no zero of its own, and a policy learns nothing until the critic has found it"
        },
    )
    reward_clip: float | None = field(
        default=None, metadata={"help": "rewards (after normalisation) are kept between minus and plus this"}
    )

    # Penalty for leaving the reference
    kl_coef: float = field(
        default=0.05, metadata={"help": "of the KL penalty in the reward (k1 a token); where it starts if adaptive"}
    )
    kl_loss_coef: float = field(
        default=0.0, metadata={"help": "weight of the KL as a loss (k2 a token), instead of or beside kl_coef; fixed"}
    )
    kl_target: float | None = field(
        default=None, metadata={"help": "KL of an answer, nats, which an adaptive coefficient aims at; None: fixed"}
    )
    kl_horizon: int = field(
        default=1_000, metadata={"help": "answers; smaller lets the adaptive coefficient move faster"}
    )

    # Advantages
    gamma: float = field(default=1.0, metadata={"help": "discount a token"})
    lam: float = field(default=0.95, metadata={"help": "lambda of GAE: 1 is unbiased, less has less variance"})
    whiten_advantages: bool = field(default=True, metadata={"help": "mean 0 and variance 1 over the rollout"})

    # Update
    num_ppo_epochs: int = field(default=4, metadata={"help": "passes over a rollout"})
    num_minibatches: int = field(default=1, metadata={"help": "optimizer steps a pass"})
    clip_range: float = field(default=0.2, metadata={"help": "epsilon of the clipped policy loss"})
    value_clip_range: float | None = field(
        default=0.2, metadata={"help": "epsilon of the clipped value loss; None: not clipped"}
    )
    value_coef: float = field(default=0.1, metadata={"help": "weight of the value loss beside the policy loss"})
    value_learning_rate: float | None = field(
        default=None, metadata={"help": "peak rate of the value model; None: see `value_rate`"}
    )
    target_kl: float | None = field(
        default=0.1,
        metadata={"help": "nats a token between rollout and update, past which the rest of the update is left out"},
    )
    disable_dropout: bool = field(
        default=True, metadata={"help": "dropout would make the ratio of new to old probability noisy"}
    )

    # Guards and records
    max_kl: float | None = field(
        default=100.0, metadata={"help": "training stops with an error when the mean KL of an answer, nats, exceeds it"}
    )
    logged_answers: int = field(default=4, metadata={"help": "answers of each rollout written to answers.jsonl"})

    def __post_init__(self) -> None:
        if self.load_best_model_at_end:
            if self.save_total_limit is not None:
                raise ValueError(
                    "PPOConfig: load_best_model_at_end needs all checkpoints; leave save_total_limit out, which "
                    "deletes older ones, the best among them"
                )
            self.metric_for_best_model = self.metric_for_best_model or "reward"  # of transformers: loss
        super().__post_init__()
        positive = ("max_prompt_length", "max_completion_length", "temperature")
        sizes = ("per_device_rollout_batch_size", "per_device_scoring_batch_size")
        counts = ("num_ppo_epochs", "num_minibatches", "kl_horizon", "clip_range", "value_clip_range")
        optional = ("reward_clip", "kl_target", "target_kl", "max_kl", "value_learning_rate")
        given = {name: getattr(self, name) for name in (*positive, *sizes, *counts, *optional)}
        if wrong := [f"{name}={value}" for name, value in given.items() if value is not None and value <= 0]:
            raise ValueError(f"PPOConfig: must be above 0: {', '.join(wrong)}")
        if wrong := [name for name in ("gamma", "lam") if not 0 <= getattr(self, name) <= 1]:
            raise ValueError(f"PPOConfig: must be between 0 and 1: {', '.join(wrong)}")
        if self.kl_coef < 0 or (self.kl_target is not None and self.kl_coef == 0):
            raise ValueError(f"PPOConfig: kl_coef={self.kl_coef} must not be negative, and above 0 to be adaptive")
        if self.kl_loss_coef < 0:
            raise ValueError(f"PPOConfig: kl_loss_coef={self.kl_loss_coef} must not be negative")
        if self.fp16:
            raise ValueError("PPOConfig: fp16 is not supported, since its loss scaler cannot skip a step; use bf16")

    @property
    def value_rate(self) -> float:
        """Peak rate of the value model; if not set, ten times the policy's, up to 0.005 but not below the policy's."""
        by_default = max(self.learning_rate, min(_VALUE_RATE * self.learning_rate, _LARGEST_VALUE_RATE))
        return self.value_learning_rate or by_default

    @property
    def answers_per_rollout(self) -> int:
        """Of one process."""
        return int(self.per_device_train_batch_size * self.gradient_accumulation_steps * self.num_minibatches)

    @property
    def steps_per_rollout(self) -> int:
        """Optimizer steps."""
        return self.num_ppo_epochs * self.num_minibatches
