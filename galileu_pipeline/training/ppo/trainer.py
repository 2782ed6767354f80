"""Proximal policy optimization of a language model, on transformers' Trainer.

Shapes: N answers of a rollout, B of a micro-batch, T tokens of an answer, L of prompt and answer.
"""

import json
import math
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from datasets import Dataset
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME

from galileu_pipeline.errors import ArgumentError, DivergedError
from galileu_pipeline.training.checkpoints import WholeCheckpoints, not_finite, step_of
from galileu_pipeline.training.ppo import objective
from galileu_pipeline.training.ppo.answer_log import AnswerLog
from galileu_pipeline.training.ppo.config import PPOConfig
from galileu_pipeline.training.ppo.experience import Experience, Explorer, SampledAnswer
from galileu_pipeline.training.ppo.learning import RewardShaper, figures_of, rollout_of
from galileu_pipeline.training.ppo.networks import ActorCritic, ValueModel, disable_dropout
from galileu_pipeline.training.ppo.objective import KlController, Moments
from galileu_pipeline.training.ppo.processes import PooledFigures
from galileu_pipeline.training.ppo.prompts import IDS_COLUMN, PROMPT_COLUMN, RolloutSampler, tokenize_prompts
from galileu_pipeline.training.ppo.rewards import (
    ClassifierReward,
    RewardFunction,
    TextClassifierReward,
    same_tokens,
)
from galileu_pipeline.training.ppo.rollout import Rollout
from galileu_pipeline.training.ppo.sampling import Sampler
from galileu_pipeline.training.sharing import freeze, move, twin
from galileu_pipeline.training.writing import write_adapter

_VALUE_NAME, _STATE_NAME = "value_model.safetensors", "ppo_state.json"


class PPOTrainer(WholeCheckpoints):
    """PPO (Schulman et al., 1707.06347) as it is done on language models (Ouyang et al., 2203.02155).

    Checkpoints, resuming, callbacks, logging, gradient accumulation, bf16 and several processes (DDP) are those of
    transformers' Trainer; a checkpoint holds the policy (an adapter, if it is one), the value model, the optimizer
    and the experience in use, so training goes on from it as if it had never stopped.

    Args:
        model: the policy. Of a PEFT model only the adapter is trained.
        reward_model: a sequence classifier with one output, or a function as `RewardFunction` describes it.
        args: the settings.
        train_dataset: rows with `prompt`, a conversation that ends with what is to be answered.
        processing_class: the policy's tokenizer, with a chat template.
        eval_dataset: likewise; for `evaluate`.
        reference: the policy to stay near; by default `model` as it is now, which costs a second adapter at most.
        value_model: by default a head on an adapter of its own beside the policy's.
        reward_processing_class: the reward model's tokenizer; by default the policy's. With another one the reward
            model reads texts, and the policy samples no special tokens but those that end an answer.
        callbacks: transformers callbacks.

    Metrics, means since the last log: `reward` (without penalties), `rlhf_reward` (what is maximised: the reward as the
    update sees it, less kl_coef times the KL), `kl` (to the reference, nats an answer), `kl_k3` (the same, estimated
    with less variance and never negative), `kl_loss` (k2, nats a token), `kl_coef`, `entropy` (nats a token, from the
    sampled tokens), `answer_length` (tokens), `ended` (share of answers with an end token), `policy_loss`,
    `value_loss`, `clip_fraction`, `value_clip_fraction`, `approx_kl` (of the update, nats a token),
    `explained_variance`, `skipped` (share of optimizer steps left out because of `target_kl`).

    Raises:
        ValueError: the prompts are not conversations, or all too long; the policy has nothing to train.
        ArgumentError: in training; a reward function gave another number of rewards than there were answers, or a
            checkpoint is of another shape of rollout.
        DivergedError: in training; a number is not finite, or the KL went past `max_kl`. The checkpoints written
            since the last rollout that was in order are renamed to `diverged-<step>`.
    """

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        reward_model: PreTrainedModel | PeftModel | RewardFunction,
        args: PPOConfig,
        train_dataset: Dataset,
        processing_class: PreTrainedTokenizerBase,
        *,
        eval_dataset: Dataset | None = None,
        reference: PreTrainedModel | PeftModel | None = None,
        value_model: ValueModel | None = None,
        reward_processing_class: PreTrainedTokenizerBase | None = None,
        callbacks: list[TrainerCallback] | None = None,
    ) -> None:
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ArgumentError(
                "The policy has nothing to train: no parameter requires a gradient. Load an adapter with "
                "PeftModel.from_pretrained(..., is_trainable=True), or put a fresh one on it with get_peft_model."
            )
        if reference is model:
            raise ValueError("The reference must not be the model itself, which is about to change; leave it out.")
        limit = args.max_prompt_length
        prompts = tokenize_prompts(train_dataset, processing_class, limit)
        eval_prompts = tokenize_prompts(eval_dataset, processing_class, limit) if eval_dataset else None
        move(model, args.device)  # before it has twins: they share its weights
        self.policy: Any = model
        self.reference = freeze(reference or twin(model))
        move(self.reference, args.device)
        self.value_model = value_model or ValueModel.beside(model)
        actor_critic = ActorCritic(model, self.value_model)
        if args.disable_dropout:
            disable_dropout(actor_critic)
        super().__init__(
            model=actor_critic,
            args=args,
            data_collator=_as_they_are,
            train_dataset=prompts,
            eval_dataset=eval_prompts,
            processing_class=processing_class,
            callbacks=callbacks,
        )
        self.args: PPOConfig
        self._tokenizer = processing_class
        self._folder = Path(str(args.output_dir))
        self._answer_log = AnswerLog(self._folder)
        self._processes = PooledFigures(self.accelerator)
        reward_tokenizer = reward_processing_class or processing_class
        text_only = isinstance(reward_model, nn.Module) and not same_tokens(reward_tokenizer, processing_class)
        self._sampler = Sampler(
            model,
            processing_class,
            temperature=args.temperature,
            max_new_tokens=args.max_completion_length,
            batch_size=args.per_device_rollout_batch_size,
            text_only=text_only,
            merge=args.merge_for_rollouts,
            dtype=torch.bfloat16 if args.bf16 else None,
        )
        if isinstance(reward_model, nn.Module):
            move(reward_model, args.device)
            scored = (freeze(reward_model), reward_tokenizer, args.per_device_scoring_batch_size)
            reward_model = (
                TextClassifierReward(*scored, self._sampler.end_ids) if text_only else ClassifierReward(*scored)
            )
        self._explorer = Explorer(
            self.policy,
            self.reference,
            reward_model,
            self._sampler,
            processing_class,
            temperature=args.temperature,
            batch_size=args.per_device_scoring_batch_size,
            autocast=self.accelerator.autocast,
        )
        self.kl_controller = KlController(args.kl_coef, args.kl_target, args.kl_horizon)
        self._shaper = RewardShaper(args, self._processes)
        self._rollout: Rollout | None = None
        self._update_stopped = False
        self._micro_batches_done = 0
        self._last_good_step = 0
        self._metrics: dict[str, list[float]] = defaultdict(list)
        self._step_sums: dict[str, float] = defaultdict(float)
        set_seed(args.seed, device_specific=True)  # processes must not draw the same random numbers

    # Data: each rollout's prompts come once for every micro-batch of its updates, and are used the first time.

    def get_train_dataloader(self) -> DataLoader[Any]:
        args = self.args
        prompts: Any = self.train_dataset
        sampler = RolloutSampler(
            len(prompts),
            answers=args.answers_per_rollout * args.world_size,
            repetitions=args.steps_per_rollout * args.gradient_accumulation_steps,
            seed=args.seed if args.data_seed is None else args.data_seed,
        )
        return self._get_dataloader(
            prompts, "Training", args.answers_per_rollout, sampler_fn=lambda _: sampler, is_training=True
        )

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns: Any = [PROMPT_COLUMN, IDS_COLUMN]

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """As transformers makes it, the value model with a learning rate of its own."""
        optimizer = super().create_optimizer(model)
        of_value_model = {id(parameter) for parameter in self.value_model.parameters()}
        for group in list(optimizer.param_groups):
            parameters = group["params"]
            group["params"] = [parameter for parameter in parameters if id(parameter) not in of_value_model]
            moved = [parameter for parameter in parameters if id(parameter) in of_value_model]
            optimizer.add_param_group({**group, "params": moved, "lr": self.args.value_rate})
        return optimizer

    # Update

    def training_step(
        self, model: nn.Module, inputs: Any, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Forward and backward pass of one micro-batch; before a rollout's first one, the rollout."""
        args = self.args
        step = self.state.global_step % args.steps_per_rollout
        micro = self._micro_batches_done
        if step == 0 and micro == 0:
            self._rollout = self._collect(inputs)
            self._update_stopped = False
        self._micro_batches_done = (micro + 1) % args.gradient_accumulation_steps
        last = self._micro_batches_done == 0
        if self._update_stopped:
            if last:
                self._metrics["skipped"].append(1.0)
            return torch.zeros((), device=args.device)
        assert self._rollout is not None
        model.train()
        loss = self._micro_batch_loss(model, self._rollout, step, micro)
        self.accelerator.backward(loss)
        if last:
            self._end_optimizer_step(model)
        return loss.detach()

    def _micro_batch_loss(self, model: nn.Module, rollout: Rollout, step: int, micro: int) -> torch.Tensor:
        """Its share of the minibatch's mean over tokens: the sum over micro-batches and processes is that mean."""
        args = self.args
        epoch, minibatch = divmod(step, args.num_minibatches)
        rows = rollout.order_KN[epoch].chunk(args.num_minibatches)[minibatch]
        rows = rollout.answers.by_length(rows, args.per_device_train_batch_size)[micro]
        batch = rollout.answers.batch(rows)
        old_logprobs_BT, ref_logprobs_BT, old_values_BT, advantages_BT, returns_BT = (
            tensor_NT[rows, : batch.answer_BT.shape[1]]
            for tensor_NT in (
                *(rollout.logprobs_NT, rollout.ref_logprobs_NT, rollout.values_NT),
                *(rollout.advantages_NT, rollout.returns_NT),
            )
        )
        with self.compute_loss_context_manager():
            logprobs_BT, values_BT = model(batch, args.temperature, self._sampler.forbidden)
        policy_BT, clipped_BT = objective.policy_losses(logprobs_BT, old_logprobs_BT, advantages_BT, args.clip_range)
        value_BT, value_clipped_BT = objective.value_losses(values_BT, old_values_BT, returns_BT, args.value_clip_range)
        kl_BT = objective.kl_estimate(logprobs_BT, ref_logprobs_BT, "k2")
        loss_BT = policy_BT + args.value_coef * value_BT + args.kl_loss_coef * kl_BT
        tokens = rollout.tokens_S[step]
        with torch.no_grad():
            shares = {
                "loss": loss_BT,
                "policy_loss": policy_BT,
                "value_loss": value_BT,
                "kl_loss": kl_BT,
                "clip_fraction": clipped_BT.float(),
                "value_clip_fraction": value_clipped_BT.float(),
                "approx_kl": objective.approximate_kl(logprobs_BT, old_logprobs_BT),
            }
            for name, values_BT in shares.items():
                self._step_sums[name] += float(objective.masked(values_BT, batch.mask_BT).sum() / tokens)
        return objective.masked(loss_BT, batch.mask_BT).sum() / tokens

    def _end_optimizer_step(self, model: nn.Module) -> None:
        """Record the minibatch's figures; past `target_kl`, drop its gradients and the rest of the update."""
        names = sorted(self._step_sums)
        sums = torch.tensor([self._step_sums[name] for name in names], device=self.args.device)
        means = dict(zip(names, self._processes.mean(sums).tolist(), strict=True))
        self._step_sums.clear()
        if not math.isfinite(means["loss"]):
            raise self._diverged(f"The loss became {means['loss']}.")
        for name, value in means.items():
            if name != "loss":  # which the trainer logs itself
                self._metrics[name].append(value)
        limit = self.args.target_kl
        if limit is not None and means["approx_kl"] > limit:
            self._update_stopped = True
            model.zero_grad()  # sets them to None, so that the optimizer's step changes nothing
        self._metrics["skipped"].append(float(self._update_stopped))

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        """Policy and value model apart: the errors of a critic that still learns must not slow the policy down."""
        limit = self.args.max_grad_norm
        norms = [self.accelerator.clip_grad_norm_(part.parameters(), limit) for part in (self.policy, self.value_model)]
        return math.hypot(*map(float, norms))

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        """Asked for at every step, also where nothing is clipped."""
        norm = super()._get_grad_norm(model, grad_norm)
        if not math.isfinite(float(norm)):
            raise self._diverged(f"The norm of the gradient became {float(norm)}.")
        return norm

    # Rollout

    @torch.no_grad()
    def _collect(self, rows: list[dict[str, Any]]) -> Rollout:
        """Sample answers to these prompts and work out what is to be learnt from them."""
        self.policy.eval()
        self.value_model.eval()
        sampled = self._processes.together(lambda: self._explorer.explore(rows))
        self._require_sound(sampled)
        rewards_N = self._shaper.shape(sampled)
        rollout = rollout_of(
            sampled,
            rewards_N,
            self._explorer.by_batch(sampled.answers, self.value_model),
            kl_coef=self.kl_controller.coef,
            args=self.args,
            processes=self._processes,
        )
        self._record(sampled, rewards_N, rollout)
        return rollout

    def _require_sound(self, sampled: Experience) -> None:
        problems = (
            f"The reward of the answer to {prompt[-1]['content'][:80]!r} is {reward}."
            for prompt, reward in zip(sampled.prompts, sampled.rewards_N.tolist(), strict=True)
            if not math.isfinite(reward)
        )
        if problem := self._processes.first(next(problems, None)):
            raise self._diverged(problem)
        kl, limit = float(self._processes.mean(sampled.kl_N.mean())), self.args.max_kl
        if not math.isfinite(kl) or (limit is not None and kl > limit):
            raise self._diverged(f"The policy went {kl:.1f} nats an answer from its reference, of {limit} allowed.")
        self._last_good_step = self.state.global_step

    def _record(self, sampled: Experience, rewards_N: torch.Tensor, rollout: Rollout) -> None:
        kl_coef = self.kl_controller.coef
        figures = figures_of(sampled, rewards_N, rollout, kl_coef=kl_coef, processes=self._processes)
        for name, value in {**figures, "kl_coef": kl_coef}.items():
            self._metrics[name].append(value)
        self.kl_controller.update(figures["kl"], len(sampled.texts) * self.args.world_size)
        if self.is_world_process_zero() and self.args.logged_answers:
            self._answer_log.add(sampled.records(self.args.logged_answers), self.state.global_step)

    # Evaluation and records

    def sample_answers(self, prompts: Dataset, seed: int | None = None) -> list[SampledAnswer]:
        """One answer to each prompt (all that are short enough), sampled as in training, always with the same seed.

        Leaves the random numbers of the training alone.
        """
        args = self.args
        if IDS_COLUMN not in prompts.column_names:
            prompts = tokenize_prompts(prompts, self._tokenizer, args.max_prompt_length)
        mine = list(prompts.select(range(args.process_index, len(prompts), args.world_size)))
        self.policy.eval()
        devices = [args.device] if args.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices):
            torch.manual_seed(args.seed if seed is None else seed)
            records = self._processes.together(lambda: self._explorer.explore(mine).records() if mine else [])
        return self._processes.gather(records)

    def shaped_rewards(self, answers: Sequence[SampledAnswer]) -> list[float]:
        """Their rewards as an update would see them now: normalised, less the penalty for those that did not end."""
        rewards = torch.tensor([answer.reward for answer in answers], dtype=torch.float64)
        ended = torch.tensor([answer.ended for answer in answers])
        return self._shaper.shaped(rewards, ended).tolist()

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Means over `sample_answers` of the evaluation prompts: reward, KL, answer length, share that ended."""
        answers = self.sample_answers(eval_dataset or self.eval_dataset)
        figures: dict[str, list[float]] = {
            "reward": [answer.reward for answer in answers],
            "kl": [answer.kl for answer in answers],
            "answer_length": [float(answer.tokens) for answer in answers],
            "ended": [float(answer.ended) for answer in answers],
        }
        metrics = {f"{metric_key_prefix}_{name}": sum(values) / len(values) for name, values in figures.items()}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means since the last log to the training's own figures."""
        if "loss" in logs:
            logs |= {name: sum(values) / len(values) for name, values in self._metrics.items()}
            self._metrics.clear()
        super().log(logs, start_time)

    # Checkpoints

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        folder = Path(output_dir or self._folder)
        if isinstance(self.policy, PeftModel):
            write_adapter(self.policy, folder)
        else:
            self.policy.save_pretrained(str(folder), safe_serialization=True)
        trained = {
            name: parameter.detach().contiguous().cpu()
            for name, parameter in self.value_model.named_parameters()
            if parameter.requires_grad
        }
        save_file(trained, folder / _VALUE_NAME)
        self._tokenizer.save_pretrained(folder)

    def require_finite_weights(self) -> None:
        for part in (self.policy, self.value_model):
            if name := not_finite(part):
                raise self._diverged(f"The weights of {name} are not finite.")

    def add_to_checkpoint(self, folder: Path) -> None:
        if self._rollout is not None and self.state.global_step % self.args.steps_per_rollout:
            self._rollout.save(folder / self._rollout_name)
        if self.args.should_save:
            state = {
                "kl_coef": self.kl_controller.coef,
                "reward_moments": asdict(self._shaper.moments),
                "update_stopped": self._update_stopped,
                "last_good_step": self._last_good_step,
                "rollout": self._rollout_shape,
            }
            (folder / _STATE_NAME).write_text(json.dumps(state), encoding="utf-8")
            self._answer_log.keep()
            if self.state.best_global_step:  # transformers noted where that checkpoint was when it was written
                self.state.best_model_checkpoint = str(self._folder / f"checkpoint-{self.state.best_global_step}")
                self.state.save_to_json(str(folder / TRAINER_STATE_NAME))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        folder = Path(resume_from_checkpoint)
        state = json.loads((folder / _STATE_NAME).read_text(encoding="utf-8"))
        if state["rollout"] != self._rollout_shape:
            raise ArgumentError(
                f"{folder} was written with {_listed(state['rollout'])}; now there are {_listed(self._rollout_shape)}. "
                "Training goes on with the same only; or start over, in another output_dir."
            )
        self._load_weights(folder)
        self.kl_controller.coef = state["kl_coef"]
        self._shaper.moments = Moments(**state["reward_moments"])
        self._update_stopped = state["update_stopped"]
        self._last_good_step = state["last_good_step"]
        rollout = folder / self._rollout_name
        self._rollout = Rollout.load(rollout, self.args.device) if rollout.is_file() else None
        if self.is_world_process_zero():
            self._answer_log.forget_after(step_of(folder))

    def _load_best_model(self) -> None:
        self._load_weights(self._folder / f"checkpoint-{self.state.best_global_step}")

    def _load_weights(self, checkpoint: Path) -> None:
        super()._load_from_checkpoint(str(checkpoint), self.policy)
        found = self.value_model.load_state_dict(load_file(checkpoint / _VALUE_NAME), strict=False)
        trained = {name for name, parameter in self.value_model.named_parameters() if parameter.requires_grad}
        if wrong := sorted(trained.intersection(found.missing_keys).union(found.unexpected_keys)):
            raise ArgumentError(
                f"{checkpoint / _VALUE_NAME} is of another value model, which differs in {', '.join(wrong[:3])}. Start "
                "over, in another output_dir."
            )

    @property
    def _rollout_shape(self) -> dict[str, int]:
        """What says which step of which update a step is."""
        args = self.args
        return {
            "num_ppo_epochs": args.num_ppo_epochs,
            "num_minibatches": args.num_minibatches,
            "answers_per_rollout": args.answers_per_rollout,
            "processes": args.world_size,
        }

    @property
    def _rollout_name(self) -> str:
        return f"rollout_{self.args.process_index}.safetensors"

    def _diverged(self, what: str) -> DivergedError:
        """The error to raise, after the checkpoints that may hold a spoilt policy have been set aside."""
        kept = 0
        folder = self._folder
        if self.is_world_process_zero():
            for checkpoint in sorted(folder.glob("checkpoint-*")):
                step = step_of(checkpoint)
                if step > self._last_good_step:
                    aside = folder / f"diverged-{step}"
                    shutil.rmtree(aside, ignore_errors=True)  # of an earlier run that went the same way
                    checkpoint.rename(aside)
                else:
                    kept = max(kept, step)
        last = (
            f"The last good checkpoint is {folder / f'checkpoint-{kept}'}." if kept else "There is no checkpoint yet."
        )
        return DivergedError(
            f"{what} That was at step {self.state.global_step} of PPO. Lower learning_rate or raise kl_coef. {last}"
        )


def _as_they_are(rows: list[Any]) -> Any:
    """The collator: a rollout needs the conversations themselves."""
    return rows


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name}={number}" for name, number in numbers.items())
