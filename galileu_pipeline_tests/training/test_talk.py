"""Talking to models of a store: streamed, stopped, with adapters switched on one base."""

import itertools
import shutil
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError, InputError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.profiles.schema import load_profile
from galileu_pipeline.training.backbone import load_policy, load_tokenizer, load_trained, save_adapter
from galileu_pipeline.training.generation import generate
from galileu_pipeline.training.settings import LoraSettings, Resources, StageSpec
from galileu_pipeline.training.talk import Sampling, Talker, files_of

QUESTION = [{"role": "user", "content": "Quem é você?"}]
GREEDY = Sampling(max_new_tokens=12)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(tmp_path), "tiny")


@pytest.fixture
def base(store: ArtifactStore, tiny_base: Path) -> Artifact:
    return base_of_profile(store, tiny_base, "tiny")


def base_of_profile(store: ArtifactStore, tiny_base: Path, profile: str) -> Artifact:
    def write(folder: Path) -> Outcome:
        shutil.copytree(tiny_base, folder, dirs_exist_ok=True)
        return Outcome()

    return store.make(Plan("base_model", [], {"profile": profile}), write).artifact


def adapter_on(store: ArtifactStore, base: Artifact, seed: int, **config: str) -> Artifact:
    """A model whose adapter says something else than the base: its B matrices are random, not zero."""

    def write(folder: Path) -> Outcome:
        spec = StageSpec(
            stage="sft", output=folder, checkpoints=folder, seed=seed, settings={}, base=base.path, lora=LoraSettings()
        )
        policy = load_policy(spec)
        torch.manual_seed(seed)
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.5)
        save_adapter(policy, spec)
        return Outcome()

    return store.make(Plan("sft_model", [base], {"profile": "tiny", **config}, seed), write).artifact


def directly(base: Artifact, adapter: Artifact | None) -> str:
    model = load_trained(base.path, adapter.path if adapter else None, Resources())
    system = load_profile("tiny").datasets.system_prompt
    prompt = [*([{"role": "system", "content": system}] if system else []), *QUESTION]
    return generate(model, load_tokenizer(base.path), [prompt], GREEDY.max_new_tokens)[0].text


def test_the_stream_grows_to_the_greedy_answer(store: ArtifactStore, base: Artifact) -> None:
    pieces = list(Talker(store).stream(base, QUESTION, GREEDY))
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(pieces))
    assert pieces[-1].strip() == directly(base, None)


def test_adapters_are_switched_and_switched_off(store: ArtifactStore, base: Artifact) -> None:
    one, two = adapter_on(store, base, 1), adapter_on(store, base, 2)
    talker = Talker(store)
    for model in (base, one, two, base, one):
        assert talker.answer(model, QUESTION, GREEDY) == directly(base, None if model is base else model)
    assert len({talker.answer(model, QUESTION, GREEDY) for model in (base, one, two)}) == 3


def test_base_and_adapters_share_one_network(store: ArtifactStore, tiny_base: Path) -> None:
    base = base_of_profile(store, tiny_base, "cpu")
    adapter = adapter_on(store, base, 1, profile="cpu", precision="bf16", quantization="none")
    talker = Talker(store)
    for model in (base, adapter, base):
        talker.answer(model, QUESTION, GREEDY)
    assert len(talker._networks) == 1
    network = talker._networks.load(files_of(store, adapter))
    assert next(network.model.parameters()).dtype == torch.bfloat16


def test_whoever_leaves_stops_the_model(store: ArtifactStore, base: Artifact) -> None:
    talker = Talker(store)
    stream = talker.stream(base, QUESTION, Sampling(max_new_tokens=200))
    next(stream)
    stream.close()
    assert talker.answer(base, QUESTION, GREEDY)  # the turn was given back


def test_a_failure_reaches_whoever_asked(store: ArtifactStore, base: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    talker = Talker(store)
    network = talker._networks.load(files_of(store, base))

    def fail(**options: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(network.model, "generate", fail)
    with pytest.raises(GalileuError, match="out of memory"):
        talker.answer(base, QUESTION, GREEDY)


def test_the_oldest_turns_give_way(store: ArtifactStore, base: Artifact, tokenizer: PreTrainedTokenizerBase) -> None:
    turns = [{"role": role, "content": "palavra " * 60} for role in ("user", "assistant")] * 40
    assert isinstance(Talker(store).answer(base, [*turns, *QUESTION], GREEDY), str)
    with pytest.raises(InputError, match="longer than the model's context"):
        Talker(store).answer(base, [{"role": "user", "content": "palavra " * 5_000}], GREEDY)


@pytest.mark.parametrize("damaged", ["base", "adapter"])
def test_a_model_that_is_not_what_its_manifest_says_is_not_served(
    store: ArtifactStore, base: Artifact, damaged: str
) -> None:
    model = adapter_on(store, base, 1)
    weights = base.path / "model.safetensors" if damaged == "base" else model.path / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(GalileuError, match=r"is not what its manifest says: changed file \((adapter_)?model.safe"):
        Talker(store).answer(model, QUESTION, GREEDY)
