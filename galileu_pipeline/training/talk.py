"""Talking to models of the store: each base network is loaded once, the adapters on it are switched."""

import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from galileu_pipeline.errors import InputError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from galileu_pipeline.training.settings import Resources

Messages = list[dict[str, str]]

_MAX_ADAPTERS = 4
_TOKEN_TIMEOUT_S = 300.0
_CONTEXT_WHERE_UNKNOWN = 2_048


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen: the most likely one, or by chance at a temperature."""

    max_new_tokens: int = 256
    temperature: float = 0.0

    @property
    def options(self) -> dict[str, Any]:
        if self.temperature > 0:
            return {"do_sample": True, "temperature": self.temperature, "top_p": 0.95}
        return {"do_sample": False}


@dataclass
class _Network:
    """A base with the adapters loaded on it so far, oldest first."""

    tokenizer: "PreTrainedTokenizerBase"
    model: Any
    adapters: list[str] = field(default_factory=list)


class Talker:
    """Answers by any model of a store. One answer at a time: others wait for their turn."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._networks: dict[str, _Network] = {}
        self._turn = threading.Lock()

    def stream(self, model: Artifact, conversation: Messages, sampling: Sampling) -> Generator[str, None, None]:
        """The answer, growing: each item is all of it so far. Closing the iterator stops the model.

        Args:
            conversation: messages of user and assistant in turn, the last one the user's; the oldest are left out
                where the context is too small.

        Raises:
            InputError: the last message alone does not fit the context.
            GalileuError: the model failed, or gave no token for five minutes.
        """
        from galileu_pipeline.training.generation import Generation

        with self._turn:
            network = self._network_of(model)
            inputs = _inputs(network, _system_message(model), conversation, sampling.max_new_tokens)
            with self._speaking(network, model):
                generation = Generation(network.model, network.tokenizer, inputs, sampling.max_new_tokens)
                try:
                    yield from generation.run(sampling.options, _TOKEN_TIMEOUT_S)
                finally:
                    generation.stop()

    def answer(self, model: Artifact, conversation: Messages, sampling: Sampling) -> str:
        """The whole answer at once; arguments and errors as for `stream`."""
        grown = deque(self.stream(model, conversation, sampling), maxlen=1)
        return grown[0].strip() if grown else ""

    def _network_of(self, model: Artifact) -> _Network:
        # Imported here: a wrong name is answered without waiting for PyTorch.
        from peft import PeftModel

        from galileu_pipeline.training.backbone import load_tokenizer, load_trained
        from galileu_pipeline.training.settings import Resources

        base = base_of(self._store, model)
        config = model.manifest.config
        resources = Resources(
            precision=config.get("precision", "fp32"), quantization=config.get("quantization", "none")
        )
        key = f"{base.id}/{resources.precision}/{resources.quantization}"
        network = self._networks.get(key)
        if network is None:
            network = _Network(load_tokenizer(base.path), load_trained(base.path, None, resources))
            self._networks[key] = network
        if model.id == base.id or model.id in network.adapters:
            return network
        if isinstance(network.model, PeftModel):
            network.model.load_adapter(str(model.path), adapter_name=model.id)
        else:
            network.model = PeftModel.from_pretrained(network.model, model.path, adapter_name=model.id).eval()
        network.adapters.append(model.id)
        if len(network.adapters) > _MAX_ADAPTERS:
            network.model.delete_adapter(network.adapters.pop(0))
        return network

    @staticmethod
    def _speaking(network: _Network, model: Artifact) -> Any:
        """The context in which the network is that model."""
        if model.id in network.adapters:
            network.model.set_adapter(model.id)
            return nullcontext()
        return network.model.disable_adapter() if network.adapters else nullcontext()


def choose_model(store: ArtifactStore, name: str) -> Artifact:
    """The model of that name that can talk.

    Args:
        name: an artifact id, or an asset, which means its current artifact.

    Raises:
        InputError: it does not generate text.
        MissingArtifactError: there is no such model.
    """
    model = store.load(name) if "-" in name else store.current(name)
    asset = model.manifest.asset
    if asset == "reward_model" or not asset.endswith("_model"):
        raise InputError(f"{model.id} does not generate text; choose a base, SFT or DPO model.")
    return model


def base_of(store: ArtifactStore, model: Artifact) -> Artifact:
    """The base model that `model` is an adapter on, or `model` itself."""
    if model.manifest.asset == "base_model":
        return model
    return store.load(next(ref.id for ref in model.manifest.inputs if ref.asset == "base_model"))


def _resources_of(model: Artifact) -> "Resources":
    """An adapter's precision and quantization are those it was trained in.

    A base's are those in which its profile trains adapters on it, so that all share one network in memory.
    """
    from galileu_pipeline.profiles.schema import load_profile
    from galileu_pipeline.training.settings import Resources

    config = model.manifest.config
    if "precision" in config:
        return Resources(precision=config["precision"], quantization=config["quantization"])
    return load_profile(config["profile"]).resources.get("sft_model", Resources())


def _system_message(model: Artifact) -> str:
    from galileu_pipeline.profiles.schema import load_profile

    return load_profile(model.manifest.config["profile"]).datasets.system_prompt


def _inputs(network: _Network, system_prompt: str, conversation: Sequence[dict[str, str]], max_new_tokens: int) -> Any:
    """Token ids of as much of the conversation as leaves room for the answer."""
    limit = getattr(network.model.config, "max_position_embeddings", _CONTEXT_WHERE_UNKNOWN) - max_new_tokens
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    turns = list(conversation)
    while turns:
        inputs: Any = network.tokenizer.apply_chat_template(
            [*system, *turns], add_generation_prompt=True, tokenize=True, return_tensors="pt", return_dict=True
        )
        if inputs["input_ids"].shape[1] <= limit:
            return inputs
        turns = turns[2:]
    raise InputError("The question is longer than the model's context. Shorten it.")


def answer(store: ArtifactStore, name: str, question: str, max_new_tokens: int) -> tuple[str, str]:
    """The greedy answer of a model, and the model's id; arguments and errors as for `choose_model`.

    Raises:
        InputError: the question is empty, too.
    """
    if not question.strip():
        raise InputError("The prompt is empty.")
    model = choose_model(store, name)
    conversation = [{"role": "user", "content": question}]
    return Talker(store).answer(model, conversation, Sampling(max_new_tokens)), model.id
