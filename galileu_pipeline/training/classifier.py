"""A sequence classifier as a reward model: one number a conversation, read at its last token, in fp32.

Shapes: B batch, T tokens, D hidden size.
"""

from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutputWithPast


class ReadAtTheEnd:
    """The forward pass of a classifier of transformers, with two differences.

    The last token is found by the attention mask. transformers (5.23) looks for the last one that is not the padding
    token, and reads one token too early where the end token serves as padding and the chat template ends with it.
    The `score` head computes in fp32: rewards of like answers differ by less than bf16 can tell apart.
    """

    def forward(
        self: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **options: Any
    ) -> SequenceClassifierOutputWithPast:
        """Rewards (B, 1) of token ids (B, T), padded on either side; without a mask all tokens count."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        trunk = getattr(self, self.base_model_prefix)
        hidden_BTD = trunk(input_ids, attention_mask=attention_mask, **options).last_hidden_state
        places_T = torch.arange(input_ids.shape[1], device=hidden_BTD.device)
        last_B = (places_T * attention_mask.to(hidden_BTD.device)).argmax(1)
        last_BD = hidden_BTD[torch.arange(len(last_B), device=last_B.device), last_B]
        with torch.autocast(last_BD.device.type, enabled=False):
            return SequenceClassifierOutputWithPast(logits=self.score(last_BD.float()))


def read_at_the_end(classifier: PreTrainedModel) -> PreTrainedModel:
    """`classifier` itself, as the class above makes it: its head in fp32, its rewards read by the attention mask."""
    plain = type(classifier)
    classifier.__class__ = type(plain.__name__, (ReadAtTheEnd, plain), {})
    head: Any = classifier.score
    head.float()
    return classifier
