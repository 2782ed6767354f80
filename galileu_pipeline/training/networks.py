"""Trained networks in memory: each base is loaded once, the adapters on it are switched."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from galileu_pipeline.training.settings import ModelFiles

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MAX_ADAPTERS = 4


@dataclass
class Network:
    """A base with the adapters loaded on it so far, oldest first."""

    tokenizer: "PreTrainedTokenizerBase"
    model: Any
    adapters: list[str] = field(default_factory=list)

    def speaking(self, model_id: str) -> AbstractContextManager[Any]:
        """The context in which the network is that model: one that `Networks.load` gave it for, or its base."""
        if model_id in self.adapters:
            self.model.set_adapter(model_id)
            return nullcontext()
        return self.as_base()

    def as_base(self) -> AbstractContextManager[Any]:
        """The context in which the network is its base."""
        return self.model.disable_adapter() if self.adapters else nullcontext()


class Networks:
    """The networks of a process."""

    def __init__(self) -> None:
        self._loaded: dict[str, Network] = {}

    def load(self, model: ModelFiles) -> Network:
        """The network that can be `model`, loaded if need be. The oldest of many adapters give way."""
        # Imported here: whoever asks for what is not there is answered without waiting for PyTorch.
        from peft import PeftModel

        from galileu_pipeline.training.backbone import load_tokenizer, load_trained

        key = f"{model.base_id}/{model.resources.precision}/{model.resources.quantization}"
        network = self._loaded.get(key)
        if network is None:
            network = Network(load_tokenizer(model.base), load_trained(model.base, None, model.resources))
            self._loaded[key] = network
        if model.adapter is None or model.id in network.adapters:
            return network
        if isinstance(network.model, PeftModel):
            network.model.load_adapter(str(model.adapter), adapter_name=model.id)
        else:
            network.model = PeftModel.from_pretrained(network.model, model.adapter, adapter_name=model.id).eval()
        network.adapters.append(model.id)
        if len(network.adapters) > _MAX_ADAPTERS:
            network.model.delete_adapter(network.adapters.pop(0))
        return network

    def __len__(self) -> int:
        return len(self._loaded)
