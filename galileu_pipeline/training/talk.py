"""Talking to models of the store: each base network is loaded once, the adapters on it are switched."""

import threading
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from galileu_pipeline.errors import InputError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.wholeness import require_whole
from galileu_pipeline.profiles.schema import load_profile
from galileu_pipeline.training.networks import Network, Networks
from galileu_pipeline.training.settings import ModelFiles, Resources, stage_of_asset

Messages = list[dict[str, str]]

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


class Talker:
    """Answers by any model of a store. One answer at a time: others wait for their turn."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._networks = Networks()
        self._turn = threading.Lock()
        self._whole: set[str] = set()  # artifacts found to be what their manifests say, before they were loaded

    def stream(self, model: Artifact, conversation: Messages, sampling: Sampling) -> Generator[str, None, None]:
        """The answer, growing: each item is all of it so far. Closing the iterator stops the model.

        Args:
            conversation: messages of user and assistant in turn, the last one the user's; the oldest are left out
                where the context is too small.

        Raises:
            InputError: the last message alone does not fit the context.
            GalileuError: the model failed, gave no token for five minutes, or its files are not those it was made with.
        """
        from galileu_pipeline.training.generation import Generation

        with self._turn:
            self._require_whole(model)
            files = files_of(self._store, model)
            network = self._networks.load(files)
            inputs = _inputs(network, files.system_prompt, conversation, sampling.max_new_tokens)
            with network.speaking(model.id):
                generation = Generation(network.model, network.tokenizer, inputs, sampling.max_new_tokens)
                try:
                    yield from generation.run(sampling.options, _TOKEN_TIMEOUT_S)
                finally:
                    generation.stop()

    def _require_whole(self, model: Artifact) -> None:
        for artifact in (model, base_of(self._store, model)):
            if artifact.id not in self._whole:
                require_whole(self._store, artifact)
                self._whole.add(artifact.id)

    def answer(self, model: Artifact, conversation: Messages, sampling: Sampling) -> str:
        """The whole answer at once; arguments and errors as for `stream`."""
        grown = deque(self.stream(model, conversation, sampling), maxlen=1)
        return grown[0].strip() if grown else ""


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
    if stage_of_asset(asset) == "reward" or not asset.endswith("_model"):
        raise InputError(f"{model.id} does not generate text; choose a base, SFT, DPO or PPO model.")
    return model


def base_of(store: ArtifactStore, model: Artifact) -> Artifact:
    """The base model that `model` is an adapter on, or `model` itself."""
    if model.manifest.asset == "base_model":
        return model
    return store.load(next(ref.id for ref in model.manifest.inputs if ref.asset == "base_model"))


def files_of(store: ArtifactStore, model: Artifact) -> ModelFiles:
    """Where `model` lies, how it computes, and what its profile tells it first."""
    base = base_of(store, model)
    return ModelFiles(
        id=model.id,
        asset=model.manifest.asset,
        base_id=base.id,
        base=base.path,
        adapter=None if model.id == base.id else model.path,
        resources=_resources_of(model),
        system_prompt=load_profile(model.manifest.config["profile"]).datasets.system_prompt,
    )


def _resources_of(model: Artifact) -> Resources:
    """An adapter's precision and quantization are those it was trained in.

    A base's are those in which its profile trains adapters on it, so that all share one network in memory.
    """
    config = model.manifest.config
    if "precision" in config:
        return Resources(precision=config["precision"], quantization=config["quantization"])
    return load_profile(config["profile"]).resources.get("sft_model", Resources())


def _inputs(network: Network, system_prompt: str, conversation: Sequence[dict[str, str]], max_new_tokens: int) -> Any:
    """Token ids of as much of the conversation as leaves room for the answer."""
    from galileu_pipeline.training.encoding import encode_prompt

    limit = getattr(network.model.config, "max_position_embeddings", _CONTEXT_WHERE_UNKNOWN) - max_new_tokens
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    turns = list(conversation)
    while turns:
        ids = encode_prompt(network.tokenizer, [*system, *turns])
        if len(ids) <= limit:
            return network.tokenizer.pad({"input_ids": [ids]}, return_tensors="pt")
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
