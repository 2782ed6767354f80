"""Networks that share the weights nobody trains."""

import copy
from typing import TypeVar

import torch
from torch import nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def twin(network: NetworkT) -> NetworkT:
    """A copy of a network over the same frozen weights: only what is trainable takes memory twice.

    A LoRA model's twin has an adapter of its own on the one base; so policy, reference, value and reward model cost
    one base in memory. Of 4-bit weights that takes the scales too, which bitsandbytes keeps beside them.
    """
    frozen = [parameter for parameter in network.parameters() if not parameter.requires_grad]
    scales = [module.quant_state for module in network.modules() if hasattr(module, "quant_state")]
    return copy.deepcopy(network, {id(shared): shared for shared in (*frozen, *network.buffers(), *scales)})


def freeze(network: NetworkT) -> NetworkT:
    """`network` itself, without anything to train or to drop out."""
    return network.requires_grad_(False).eval()


def move(network: nn.Module, device: torch.device) -> None:
    """`network.to(device)`; a parameter stays the same object, so networks that share it go on sharing it."""
    network.to(device)
