"""Null models: matrices without the structure that is claimed, but alike in everything else. Source: section 9."""

from __future__ import annotations

import numpy as np
import torch

from singlefilter.method.clusters import MEMORY

Array = np.ndarray | torch.Tensor

BYTES_TO_SHUFFLE = 24  # an element: its random number, its place after sorting, the matrix itself


def random_matrices(clipped: Array, seed: int = 0, memory: int = MEMORY) -> Array:
    """Random Boolean matrices with each filter's own numbers of ones on the diagonal and off it.

    clipped: bool `[filters, true_label, out_label]`, numpy or torch; the same kind, shape and device comes out.
    The ones of a filter are shuffled among the places on its diagonal, and among those off it, every arrangement
    equally likely, so that SNR stays as it is and whatever squares are found are there by chance.  `memory`, bytes:
    what the working copies of a chunk of filters may take (one filter at least).

    Raises `TypeError` for anything but bool, `ValueError` when the matrices are not square or memory is not above 0.
    """
    if isinstance(clipped, np.ndarray):
        return random_matrices(torch.from_numpy(np.ascontiguousarray(clipped)), seed, memory).numpy()
    if clipped.dtype != torch.bool:
        raise TypeError(f"clipped matrices are bool, these are {clipped.dtype}; clip the fields first")
    _check(clipped, memory)
    filters, labels, _ = clipped.shape
    generator = torch.Generator(clipped.device).manual_seed(seed)
    diagonal = torch.eye(labels, dtype=torch.bool, device=clipped.device).flatten()
    shuffled = torch.empty_like(clipped, memory_format=torch.contiguous_format).view(filters, labels**2)
    chunk = max(1, memory // (BYTES_TO_SHUFFLE * labels**2))
    for start in range(0, filters, chunk):
        part = clipped[start : start + chunk].reshape(-1, labels**2)
        for places in (diagonal, ~diagonal):
            ones = part[:, places]
            order = torch.rand(ones.shape, generator=generator, device=ones.device).argsort(1)
            shuffled[start : start + chunk, places] = ones.gather(1, order)
    return shuffled.view(clipped.shape)


def permuted_labels(fields: Array, seed: int = 0) -> Array:
    """Field matrices whose true labels are permuted, for each filter in another way.

    fields: real `[filters, true_label, out_label]`, numpy or torch; the same kind comes out.  Every filter keeps its
    values and how they go together over the outputs; what it says has nothing to do with what it is shown.

    Raises `ValueError` when the matrices are not square.
    """
    if isinstance(fields, np.ndarray):
        return permuted_labels(torch.from_numpy(np.ascontiguousarray(fields)), seed).numpy()
    _check(fields, MEMORY)
    generator = torch.Generator(fields.device).manual_seed(seed)
    order = torch.rand(fields.shape[:2], generator=generator, device=fields.device).argsort(1)
    return fields.gather(1, order[:, :, None].expand(-1, -1, fields.shape[2]))


def _check(matrices: torch.Tensor, memory: int) -> None:
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2]:
        raise ValueError(f"matrices are [filters, true_label, out_label], square; these are {list(matrices.shape)}")
    if memory <= 0:
        raise ValueError(f"memory is the size of a chunk in bytes, above 0; {memory} given")
