"""Networks that share the weights nobody trains."""

import copy
from typing import Any, TypeGuard, TypeVar

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def twin(network: NetworkT) -> NetworkT:
    """A copy of a network over the same frozen weights: only what is trainable takes memory twice.

    A LoRA model's twin has an adapter of its own on the one base; so policy, reference, value and reward model cost
    one base in memory. Of 4-bit weights that takes the scales too, which bitsandbytes keeps beside them.
    """
    frozen = [parameter for parameter in network.parameters() if not parameter.requires_grad]
    scales = [module.quant_state for module in network.modules() if hasattr(module, "quant_state")]
    return copy.deepcopy(network, {id(shared): shared for shared in (*frozen, *network.buffers(), *scales)})


def merged(model: PeftModel, dtype: torch.dtype | None = None) -> PreTrainedModel:
    """A copy with the adapter added into the weights, of another type if given: it generates faster, and takes the
    memory of a whole base. Up to rounding it says the same; `model` and what shares its weights stay as they are.
    """
    copied: Any = copy.deepcopy(model)
    plain: Any = copied.merge_and_unload()
    return freeze(plain.to(dtype))


def can_be_merged(model: nn.Module) -> TypeGuard[PeftModel]:
    """It has an adapter, over weights that can hold it: into 4-bit ones, little of it would go."""
    return isinstance(model, PeftModel) and not getattr(model.get_base_model(), "is_quantized", False)


def freeze(network: NetworkT) -> NetworkT:
    """`network` itself, without anything to train or to drop out."""
    return network.requires_grad_(False).eval()


def move(network: nn.Module, device: torch.device) -> None:
    """`network.to(device)`; a parameter stays the same object, so networks that share it go on sharing it."""
    network.to(device)
