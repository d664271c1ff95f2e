"""What every benchmark says of its ways: their names, and how far their results are from each other."""

from __future__ import annotations

import math

import numpy as np
import torch

NAIVE, PEER = "naive", "peer"
ROUNDING = 1e-4  # of float32 sums, relative to the largest element


def difference(one, other) -> float:
    """Largest absolute difference, relative to the largest element of `other` where that is above 1."""
    one, other = (_numpy(array).astype(np.float64) for array in (one, other))
    if one.shape != other.shape:
        return math.inf
    return float(np.abs(one - other).max(initial=0) / max(1.0, np.abs(other).max(initial=0)))


def _numpy(array: np.ndarray | torch.Tensor) -> np.ndarray:
    return array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else array
