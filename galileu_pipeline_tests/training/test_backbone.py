"""How models are loaded, for the sake of speed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from galileu_pipeline.training.backbone import load_policy, load_reward_model, load_trained
from galileu_pipeline.training.settings import Resources, StageSpec


def spec_of(base: Path, max_length: int, gpus: int = 0) -> StageSpec:
    return StageSpec(
        stage="dpo",
        output=base,
        checkpoints=base,
        base=base,
        settings={"max_length": max_length},
        resources=Resources(gpus=gpus),
    )


@pytest.mark.parametrize(("max_length", "gpus", "attention"), [(512, 0, "eager"), (513, 0, "sdpa"), (512, 1, "sdpa")])
def test_only_short_texts_on_a_cpu_are_trained_on_with_plain_attention(
    tiny_base: Path, tokenizer: PreTrainedTokenizerBase, max_length: int, gpus: int, attention: str
) -> None:
    spec = spec_of(tiny_base, max_length, gpus)
    for model in (load_policy(spec), load_reward_model(spec, tokenizer)):
        loaded: Any = model.get_base_model()
        assert loaded.config._attn_implementation == attention


def test_the_output_layer_reads_what_lies_in_one_piece(tiny_base: Path) -> None:
    model: Any = load_trained(tiny_base, None, Resources())
    seen: list[bool] = []
    model.get_output_embeddings().register_forward_hook(lambda _, given, __: seen.append(given[0].is_contiguous()))
    ids = torch.randint(5, 300, (3, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        kept = model(input_ids=ids, logits_to_keep=4).logits
        torch.testing.assert_close(kept, model(input_ids=ids).logits[:, -4:])
    assert seen == [True, True]
