"""Out of memory is no failure: smaller micro-batches, and more of them a step."""

import gc
from collections.abc import Iterator
from typing import Any

import torch
from transformers import Trainer

from galileu_pipeline.errors import OutOfMemoryError
from galileu_pipeline.training.settings import MicroBatch

# How allocators that raise no error of their own say it: PyTorch's of the CPU, cuBLAS.
_SAID = (
    "DefaultCPUAllocator: can't allocate memory",
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on an accelerator or in main memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID)


def smaller(batch: MicroBatch) -> MicroBatch:
    """Half the micro-batch, or a little less, so that a whole number of them is the same number of examples a step.

    What is evaluated, sampled or scored at once is halved too: an error does not say which of them was too much.

    Raises:
        OutOfMemoryError: a single example is too much.
    """
    others = {name: getattr(batch, name) for name in ("eval_size", "rollout_size", "scoring_size")}
    if batch.size == 1 and all(size in (1, None) for size in others.values()):
        raise OutOfMemoryError(
            "The memory does not even hold one example. Lower max_length, set gradient_checkpointing: true, use "
            "precision bf16 or quantization nf4, set merge_for_rollouts: false (PPO), or take a smaller base model."
        )
    effective = batch.size * batch.accumulation
    size = next(number for number in range(max(batch.size // 2, 1), 0, -1) if effective % number == 0)
    halves = {name: max(number // 2, 1) for name, number in others.items() if number is not None}
    return batch.model_copy(update={"size": size, "accumulation": effective // size, **halves})


def release() -> None:
    """Give the memory of what nobody refers to any more back to the accelerator."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class EvenExamples(Trainer):
    """A mixin, to stand before the `Trainer` it is for: every example of a step weighs the same.

    transformers weighs every micro-batch the same, whose last one may be smaller. Then the step would depend on how
    its examples are split. (Where a loss is a mean over tokens, transformers sees to it.)
    """

    _examples = 0

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device) -> Any:
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._examples = sum(map(_rows, batches))
        return batches, items

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        self.current_gradient_accumulation_steps: Any = self._examples / _rows(inputs)
        return super().training_step(model, inputs, num_items_in_batch)


def _rows(batch: dict[str, Any]) -> int:
    return next(value.shape[0] for value in batch.values() if isinstance(value, torch.Tensor))
