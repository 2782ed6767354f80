"""Figures over all processes of a training."""

import torch

from galileu_pipeline.training.ppo.objective import Moments
from galileu_pipeline.training.processes import Processes


class PooledFigures(Processes):
    """Means and moments of what all processes sampled."""

    def mean(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor if self._alone else self._accelerator.reduce(tensor, "mean")

    def moments(self, numbers: torch.Tensor) -> Moments:
        """Of the numbers of all processes."""
        pooled = Moments()
        for moments in self.gather([Moments.of(numbers)]):
            pooled = pooled.join(moments)
        return pooled
