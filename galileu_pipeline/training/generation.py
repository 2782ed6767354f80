"""Answers for people to read: greedy, so that the same model gives the same answer."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from galileu_pipeline.training.scoring import Messages


@torch.no_grad()
def generate(
    model: Any, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Messages], max_new_tokens: int
) -> list[str]:
    """One answer a prompt, in order."""
    if not prompts:
        return []
    model.eval()
    side, tokenizer.padding_side = tokenizer.padding_side, "left"
    try:
        inputs: Any = tokenizer.apply_chat_template(
            list(prompts),
            add_generation_prompt=True,
            tokenize=True,
            padding=True,
            return_tensors="pt",
            return_dict=True,
        )
    finally:
        tokenizer.padding_side = side
    inputs = inputs.to(model.device)
    output_BT = model.generate(
        **inputs, max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=tokenizer.pad_token_id
    )
    new_BT = output_BT[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in tokenizer.batch_decode(new_BT, skip_special_tokens=True)]
