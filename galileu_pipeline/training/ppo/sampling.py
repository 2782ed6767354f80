"""Sampling answers from the policy itself."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from galileu_pipeline.training.encoding import control_ids
from galileu_pipeline.training.generation import end_ids
from galileu_pipeline.training.ppo.prompts import pad_prompts
from galileu_pipeline.training.ppo.rollout import Answers, answer_mask
from galileu_pipeline.training.sharing import can_be_merged, merged


class Sampler:
    """Draws answers at a temperature and nothing else: no top-k, no top-p, none of the model's own defaults.

    Anything that reshapes the distribution would make the sampled tokens those of another policy than the one whose
    log-probabilities the update compares. Only `forbidden` tokens never come, and the policy that is compared has the
    same restriction: see `token_logprobs`.
    """

    def __init__(
        self,
        policy: PreTrainedModel | PeftModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        temperature: float,
        max_new_tokens: int,
        batch_size: int,
        text_only: bool = False,
        merge: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        """`text_only` forbids all tokens that a text does not show, but those that end an answer.

        `merge` samples from a copy of the policy with the adapter in its weights, which are of type `dtype`; there is
        none of a 4-bit policy.
        """
        model: Any = policy.get_base_model() if isinstance(policy, PeftModel) else policy
        self._model = model
        self._to_merge = policy if merge and can_be_merged(policy) else None
        self._merged_dtype = dtype
        self.end_ids = end_ids(model.generation_config, tokenizer)
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.end_ids[0]
        self.forbidden = _unseen_in_texts(tokenizer, model, self.end_ids) if text_only else []
        self._batch_size = batch_size
        self._options = {
            "do_sample": True,
            "temperature": temperature,
            "top_k": 0,
            "top_p": 1.0,
            "max_new_tokens": max_new_tokens,
            "suppress_tokens": self.forbidden or None,
        }

    @torch.no_grad()
    def sample(self, prompt_ids: Sequence[Sequence[int]]) -> Answers:
        """One answer a prompt, in order. Prompts of like length are answered together."""
        order = sorted(range(len(prompt_ids)), key=lambda row: len(prompt_ids[row]))
        with self._sampled_model() as model:
            parts = [
                self._sample(model, [prompt_ids[row] for row in order[start : start + self._batch_size]])
                for start in range(0, len(order), self._batch_size)
            ]
        return Answers.join(parts, self.pad_id).take(torch.tensor(order).argsort())

    def _sample(self, model: Any, prompt_ids: Sequence[Sequence[int]]) -> Answers:
        prompt_BP, prompt_mask_BP = pad_prompts(prompt_ids, self.pad_id, model.device)
        ids_BL = model.generate(input_ids=prompt_BP, attention_mask=prompt_mask_BP, **self._options)
        answer_BT = ids_BL[:, prompt_BP.shape[1] :]
        return Answers(prompt_BP, prompt_mask_BP, answer_BT, answer_mask(answer_BT, self.end_ids))

    @contextmanager
    def _sampled_model(self) -> Iterator[Any]:
        """What is sampled from, for as long as its own defaults of sampling are away."""
        model: Any = merged(self._to_merge, self._merged_dtype) if self._to_merge else self._model
        kept = model.generation_config
        model.generation_config = GenerationConfig(eos_token_id=self.end_ids, pad_token_id=self.pad_id)
        try:
            yield model
        finally:
            model.generation_config = kept


def _unseen_in_texts(tokenizer: PreTrainedTokenizerBase, model: Any, end_ids: Sequence[int]) -> list[int]:
    """The ids below the model's vocabulary size which decoding leaves out, less the end tokens."""
    every = range(model.config.get_text_config().vocab_size)
    special = control_ids(tokenizer) | set(tokenizer.all_special_ids)
    nameless = set(every) - set(tokenizer.get_vocab().values())  # of vocabularies that are padded to a round number
    return sorted((special | nameless) & set(every) - set(end_ids))
