"""Experience: answers the policy sampled, and what PPO learns from them.

Shapes: N answers of a rollout, B of a batch; P tokens of a prompt, T of an answer, L of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file, save_file


@dataclass(frozen=True)
class Batch:
    """Prompts, padded on the left, followed by answers, padded on the right."""

    ids_BL: torch.Tensor
    attention_BL: torch.Tensor
    answer_BT: torch.Tensor
    mask_BT: torch.Tensor

    @property
    def positions_BL(self) -> torch.Tensor:
        """Position ids that start at the first token after the padding."""
        return (self.attention_BL.cumsum(1) - 1).clamp(min=0)


@dataclass(frozen=True)
class Answers:
    """Sampled answers: token ids, and masks that are 1 on tokens and 0 on padding."""

    prompt_NP: torch.Tensor
    prompt_mask_NP: torch.Tensor
    answer_NT: torch.Tensor
    mask_NT: torch.Tensor

    def __len__(self) -> int:
        return len(self.answer_NT)

    @property
    def lengths_N(self) -> torch.Tensor:
        """Tokens of each answer, the end token included."""
        return self.mask_NT.sum(1)

    def batch(self, rows: torch.Tensor) -> Batch:
        """These rows with as little padding as they allow."""
        prompt_mask, mask = self.prompt_mask_NP[rows], self.mask_NT[rows]
        prompt_tokens, tokens = int(prompt_mask.sum(1).max()), int(mask.sum(1).max())
        prompt, prompt_mask = self.prompt_NP[rows, -prompt_tokens:], prompt_mask[:, -prompt_tokens:]
        answer, mask = self.answer_NT[rows, :tokens], mask[:, :tokens]
        return Batch(torch.cat((prompt, answer), 1), torch.cat((prompt_mask, mask), 1), answer, mask)

    def take(self, rows: torch.Tensor) -> "Answers":
        """These rows, in that order."""
        return Answers(*(getattr(self, field.name)[rows] for field in fields(self)))

    def by_length(self, rows: torch.Tensor, size: int) -> Sequence[torch.Tensor]:
        """`rows` in groups of `size` of like length, so that little is padding; on the device of the answers."""
        rows = rows.to(self.mask_NT.device)  # a tensor cannot be indexed by one of another device
        order = torch.argsort(self.lengths_N[rows], stable=True)
        return rows[order].split(size)

    @classmethod
    def join(cls, parts: "Sequence[Answers]", pad_id: int) -> "Answers":
        """All of them, padded to one width."""

        def widen(tensors: list[torch.Tensor], filler: int, *, left: bool) -> torch.Tensor:
            width = max(tensor.shape[1] for tensor in tensors)
            gaps = [width - tensor.shape[1] for tensor in tensors]
            return torch.cat(
                [
                    torch.nn.functional.pad(tensor, (gap, 0) if left else (0, gap), value=filler)
                    for tensor, gap in zip(tensors, gaps, strict=True)
                ]
            )

        return cls(
            widen([part.prompt_NP for part in parts], pad_id, left=True),
            widen([part.prompt_mask_NP for part in parts], 0, left=True),
            widen([part.answer_NT for part in parts], pad_id, left=False),
            widen([part.mask_NT for part in parts], 0, left=False),
        )


def answer_mask(answer_NT: torch.Tensor, end_ids: Sequence[int]) -> torch.Tensor:
    """1 up to and including the first end token of each answer, 0 after it; an int tensor, (N, T)."""
    ends_NT = torch.isin(answer_NT, torch.tensor(list(end_ids), device=answer_NT.device)).int()
    return (ends_NT.cumsum(1) - ends_NT == 0).int()


@dataclass(frozen=True)
class Rollout:
    """Answers with all that an update needs, frozen at the time they were sampled.

    Attributes:
        logprobs_NT: log p under the policy that sampled them.
        ref_logprobs_NT: log p under the reference.
        values_NT: the value model's then.
        advantages_NT: GAE, whitened if so set.
        returns_NT: what the value model should have said.
        order_KN: for each pass over the rollout, a permutation of the answers.
        tokens_S: answer tokens of each optimizer step's minibatch, mean over the processes.
    """

    answers: Answers
    logprobs_NT: torch.Tensor
    ref_logprobs_NT: torch.Tensor
    values_NT: torch.Tensor
    advantages_NT: torch.Tensor
    returns_NT: torch.Tensor
    order_KN: torch.Tensor
    tokens_S: torch.Tensor

    def save(self, path: Path) -> None:
        """As safetensors."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "answers"}
        sampled = {field.name: getattr(self.answers, field.name) for field in fields(self.answers)}
        save_file({name: tensor.contiguous().cpu() for name, tensor in {**own, **sampled}.items()}, path)

    @classmethod
    def load(cls, path: Path, device: torch.device) -> Self:
        """What `save` wrote."""
        tensors = {name: tensor.to(device) for name, tensor in load_file(path).items()}
        answers = Answers(**{field.name: tensors.pop(field.name) for field in fields(Answers)})
        return cls(answers=answers, **tensors)
