"""Comparing floats of one computation done in other shapes, and so summed in another order or by another kernel."""

from typing import Any

import pytest
import torch

RELATIVE = 1e-4


def about(expected: torch.Tensor | list[float] | float) -> Any:
    """What is within 1e-4 of each number or of the largest: one that nearly cancels out is as exact as its terms."""
    numbers = torch.as_tensor(expected, dtype=torch.float64)
    return pytest.approx(numbers.tolist(), rel=RELATIVE, abs=RELATIVE * float(numbers.abs().max()))
