"""Policy and value model as one module.

Shapes: B answers, L tokens of prompt and answer, T tokens of the answer alone.
"""

from collections.abc import Sequence
from typing import Any, Self

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

from galileu_pipeline.training.logprobs import token_logprobs
from galileu_pipeline.training.ppo.rollout import Batch
from galileu_pipeline.training.sharing import twin

_DROPOUT_LAYERS = (
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.AlphaDropout, nn.FeatureAlphaDropout),
)


def disable_dropout(network: nn.Module) -> None:
    """All of it: layers, and the rates that attention and layer dropout keep as plain numbers."""
    for module in network.modules():
        if isinstance(module, _DROPOUT_LAYERS):
            module.p = 0.0
        for name, value in vars(module).items():
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)


def trunk_of(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The network below a model's head, with its adapter if it has one."""
    plain: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    trunk: PreTrainedModel = getattr(plain, plain.base_model_prefix)
    return trunk


def answer_logprobs(policy: nn.Module, batch: Batch, temperature: float, forbidden: Sequence[int] = ()) -> torch.Tensor:
    """log p of every answer token at that temperature, (B, T), nats; 0 in the padding.

    `forbidden` are the tokens that could not be sampled.
    """
    tokens = batch.answer_BT.shape[1]
    # The logits before an answer token are those that predict it; the prompt's are never computed.
    logits_BLV = policy(
        input_ids=batch.ids_BL,
        attention_mask=batch.attention_BL,
        position_ids=batch.positions_BL,
        logits_to_keep=tokens + 1,
        use_cache=False,
    ).logits
    logprobs_BT = token_logprobs(logits_BLV, batch.answer_BT, temperature=temperature, forbidden=forbidden)
    return torch.where(batch.mask_BT.bool(), logprobs_BT, 0.0)


class ValueModel(nn.Module):
    """What reward is still to come, judged before each answer token: a trunk, and a head with one output."""

    def __init__(self, trunk: PreTrainedModel, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    @classmethod
    def beside(cls, policy: PreTrainedModel | PeftModel) -> Self:
        """A head on an adapter of its own, which starts as a copy of the policy's, over the policy's frozen weights.

        It predicts 0 at first. A policy without an adapter gets a value model of its own size.
        """
        trunk = twin(trunk_of(policy))
        head = nn.Linear(trunk.config.get_text_config().hidden_size, 1, device=trunk.device)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return cls(trunk, head)

    @classmethod
    def from_classifier(cls, model: PreTrainedModel | PeftModel) -> Self:
        """A sequence classifier with one output, such as a reward model (2403.17031, detail 12)."""
        plain: Any = model.get_base_model() if isinstance(model, PeftModel) else model
        if not hasattr(plain, "score"):
            raise ValueError(f"{type(plain).__name__} has no `score` head; give a sequence classification model.")
        return cls(trunk_of(model), plain.score)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Values before every answer token, (B, T)."""
        hidden_BLD = self.trunk(
            input_ids=batch.ids_BL,
            attention_mask=batch.attention_BL,
            position_ids=batch.positions_BL,
            use_cache=False,
        ).last_hidden_state
        before_BTD = hidden_BLD[:, -batch.answer_BT.shape[1] - 1 : -1]
        weight = next(self.head.parameters())
        values_BT = self.head(before_BTD.to(weight.dtype))[..., 0].float()
        return torch.where(batch.mask_BT.bool(), values_BT, 0.0)


class ActorCritic(nn.Module):
    """What is trained: one module, so that one optimizer, one backward pass and one DDP wrapper serve both."""

    def __init__(self, policy: PreTrainedModel | PeftModel, value_model: ValueModel) -> None:
        super().__init__()
        self.policy = policy
        self.value_model = value_model
        self.config = policy.config

    def forward(
        self, batch: Batch, temperature: float, forbidden: Sequence[int] = ()
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities and values of the answer tokens, (B, T) each."""
        return answer_logprobs(self.policy, batch, temperature, forbidden), self.value_model(batch)

    def activation_checkpointing_enable(self, **options: Any) -> None:
        self.policy.activation_checkpointing_enable(**options)
        self.value_model.trunk.activation_checkpointing_enable(**options)
