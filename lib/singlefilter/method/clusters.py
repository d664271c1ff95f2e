"""From field matrices to clusters: clip, find, order for display. Plain arrays in, plain arrays out.

Every function takes a numpy array or a torch tensor and returns the same kind, on the same device. A numpy
array is viewed as a tensor, not copied. Sections refer to the method that the companion follows.
"""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch

Array = np.ndarray | torch.Tensor

THRESHOLD = 0.3
MEMORY = 10**9
BYTES_TO_CLIP = 18  # an element at worst: its copy and its quotient as float64, two bools


def clip(fields: Array, threshold: float = THRESHOLD, memory: int = MEMORY) -> Array:
    """Ones where a field is strongest: `fields[f] / fields[f].max() > threshold`, strictly.

    `fields[filters, true_label, out_label]`, any real dtype: mean field of each filter on each output, in
    units of the logit. Half precision is compared as float32, integers as float64, the rest in its own
    dtype.

    Returns bool `[filters, true_label, out_label]`. A filter is all zeros when its largest element is zero,
    negative or infinite, or when any element is NaN: dividing by a negative number would turn it into all
    ones. An element of -inf is below every threshold and changes nothing else.

    `memory`, bytes: the working copy, made for a chunk of filters at a time (one filter at least), stays
    within it.

    Raises `ValueError` when the fields are not `[filters, K, K]` with K >= 1, when the threshold is not
    between 0 and 1 (both excluded) or memory is not positive; `TypeError` for complex fields. Source:
    section 4.
    """
    _check_memory(memory)
    if not 0 < threshold < 1:
        raise ValueError(f"threshold is {threshold}; it must lie between 0 and 1, both excluded (the paper: 0.3)")

    def clip_tensor(fields: torch.Tensor) -> torch.Tensor:
        _check_square(fields, "fields")
        if fields.is_complex():
            raise TypeError("fields are complex; field matrices are real numbers")
        filters, labels, _ = fields.shape
        clipped = torch.empty(fields.shape, dtype=torch.bool, device=fields.device)
        chunk = max(1, memory // (labels * labels * BYTES_TO_CLIP))
        for start in range(0, filters, chunk):
            part = _comparable(fields[start : start + chunk])
            largest = part.amax((1, 2), keepdim=True)  # NaN wherever the filter holds one
            live = (largest > 0) & largest.isfinite()
            clipped[start : start + chunk] = (part / largest > threshold) & live
        return clipped

    return _on_tensor(clip_tensor, fields)


def find(clipped: Array, memory: int = MEMORY) -> Array:
    """The clusters of every filter, by the greedy rule in ascending order of labels.

    `clipped[filters, true_label, out_label]`, bool: what `clip` returns.

    Returns int64 `[filters, label]`: -1 where the label is in no cluster (its diagonal element is zero),
    else the number of its cluster, counted from 0 in the order found. The squares of a cluster are all ones
    in both directions; every label with a one on the diagonal is in exactly one cluster.

    All filters advance together, each by one label a step, and a filter leaves when its last label is placed:
    as many steps as the fullest diagonal has ones. The result is exactly that of the literal nested loops.

    `memory`, bytes: what is copied for a chunk of filters at a time stays within it; one filter (about
    `3 K**2` bytes at worst) is always taken.

    Raises `TypeError` when the input is not bool, `ValueError` when it is not `[filters, K, K]` with K >= 1
    or memory is not positive. Source: section 5.
    """
    _check_memory(memory)

    def find_tensor(clipped: torch.Tensor) -> torch.Tensor:
        if clipped.dtype != torch.bool:
            raise TypeError(f"find needs ones and zeros as bool, got {clipped.dtype}; clip first: find(clip(fields))")
        _check_square(clipped, "clipped")
        on_diagonal = clipped.diagonal(0, 1, 2)
        clipped = clipped.contiguous()
        counts, fullest_first = on_diagonal.sum(1).sort(descending=True, stable=True)
        # Labels with a one on the diagonal, ascending, and then the others, which never take part.
        candidates = (~on_diagonal).to(torch.uint8).argsort(dim=1, stable=True)
        clusters = torch.full(on_diagonal.shape, -1, dtype=torch.int64, device=clipped.device)
        sizes = counts.tolist()
        for start, stop in _chunks(sizes, clipped.shape[-1], memory):
            which = fullest_first[start:stop]
            labels = candidates[which, : sizes[start]]
            full = sizes[stop - 1] == clipped.shape[-1]
            numbers = _assign(_compatible(clipped, which, None if full else labels), sizes[start:stop])
            clusters[which[:, None], labels] = numbers
        return clusters

    return _on_tensor(find_tensor, clipped)


def display_order(clusters: Array) -> Array:
    """The labels in the order in which a clipped matrix shows its clusters as squares along the diagonal.

    `clusters[filters, label]`, integer: what `find` returns.

    Returns int64 `[filters, position]`, a permutation of the labels: clusters first, the largest first and of
    equal ones the one found first, then the labels in no cluster; ascending inside each.
    Raises `ValueError` when the input is not two-dimensional, `TypeError` when it is not of an integer dtype.
    Source: section 5.
    """

    def order_tensor(clusters: torch.Tensor) -> torch.Tensor:
        if clusters.dtype.is_floating_point or clusters.dtype == torch.bool:
            raise TypeError(f"clusters must be integers as find returns them, got {clusters.dtype}")
        if clusters.ndim != 2:
            raise ValueError(f"clusters must be [filters, label], got shape {list(clusters.shape)}")
        labels = clusters.shape[1]
        clusters = clusters.to(torch.int64)
        in_cluster = clusters >= 0
        number = clusters.clamp(min=0)
        sizes = torch.zeros_like(clusters).scatter_add_(1, number, in_cluster.to(torch.int64))
        # Larger clusters rank lower, then those found first; every rank is below labels**2.
        rank = (labels - sizes.gather(1, number)) * labels + number
        return torch.where(in_cluster, rank, labels * labels).argsort(dim=1, stable=True)

    return _on_tensor(order_tensor, clusters)


def _compatible(clipped: torch.Tensor, which: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """uint8 `[filters, label, label]` over the given labels of the given filters (None: all of them): 2 where two
    labels may share a cluster (ones in both directions), 1 where not, 0 on the diagonal."""
    if labels is None:
        square = clipped.index_select(0, which)
    else:
        size, (filters, taking_part) = clipped.shape[-1], labels.shape
        rows = clipped.reshape(-1, size).index_select(0, (which[:, None] * size + labels).flatten())
        square = rows.view(filters, taking_part, size).gather(2, labels[:, None].expand(-1, taking_part, -1))
        del rows
    transposed = square.transpose(1, 2).contiguous()  # and only then AND: strided, it takes twice as long
    compatible = transposed.logical_and_(square).view(torch.uint8).add_(1)
    compatible.diagonal(0, 1, 2).zero_()
    return compatible


def _assign(compatible: torch.Tensor, counts: list[int]) -> torch.Tensor:
    """Cluster numbers, int64 `[filters, label]`, of filters sorted by falling `counts`: the first `counts[f]`
    labels of filter f are to be placed, the others get -1.

    The state of a label is 2: may join the open cluster, 1: waits for a later one, 0: placed. A step takes,
    in each filter, the lowest label of the highest state. If that is 1, nothing can join any more, and a new
    cluster opens that every waiting label may join. Then the state falls to that of the label's row of
    `compatible`. A label that was passed over never comes back: the cluster only grows.
    """
    filters, labels, _ = compatible.shape
    device = compatible.device
    rows = compatible.reshape(-1, labels)
    first_row = torch.arange(filters, device=device) * labels
    to_place = torch.tensor(counts, device=device)
    state = (torch.arange(labels, device=device) < to_place[:, None]).to(torch.uint8)
    placed = torch.zeros((labels, filters), dtype=torch.int64, device=device)
    highest = torch.zeros((labels, filters), dtype=torch.uint8, device=device)
    active = filters
    for step in range(labels):
        while counts[active - 1] <= step:
            active -= 1
        best, label = highest[step, :active], placed[step, :active]
        torch.max(state[:active], 1, out=(best, label))
        raised = state[:active].mul_((3 - best)[:, None])  # 1 becomes 2 where a cluster opens
        torch.minimum(raised, rows.index_select(0, first_row[:active] + label), out=raised)
    number = (highest == 1).cumsum(0).sub_(1)
    clusters = torch.full((filters, labels), -1, dtype=torch.int64, device=device)
    steps = torch.arange(labels, device=device)[:, None].expand(-1, filters)
    done = steps >= to_place
    # Steps after a filter's last write -1 to one of its labels that is not to be placed.
    return clusters.scatter_(1, torch.where(done, steps, placed).T, torch.where(done, -1, number).T)


def _chunks(sizes: list[int], labels: int, memory: int) -> Iterator[tuple[int, int]]:
    """Ranges of filters, sorted by falling size, whose copies stay within memory; size 0 is left out."""
    start, stop = 0, sum(size > 0 for size in sizes)
    while start < stop:
        size = sizes[start]
        each = size * max(labels + size, 2 * size) + 64 * size  # rows and squares; state and steps
        chunk = min(stop - start, max(1, memory // each))
        yield start, start + chunk
        start += chunk


def _comparable(fields: torch.Tensor) -> torch.Tensor:
    if not fields.is_floating_point():
        return fields.to(torch.float64)
    return fields.float() if fields.dtype.itemsize < 4 else fields


def _check_memory(memory: int) -> None:
    if memory <= 0:
        raise ValueError(f"memory is {memory}; give a positive number of bytes (default {MEMORY})")


def _check_square(matrices: torch.Tensor, name: str) -> None:
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2] or matrices.shape[1] == 0:
        raise ValueError(
            f"{name} must be [filters, true_label, out_label] with as many true labels as outputs, "
            f"got shape {list(matrices.shape)}"
        )


def _on_tensor(function: Callable[[torch.Tensor], torch.Tensor], array: Array) -> Array:
    """Applies a function of a tensor to a numpy array or a tensor and returns the kind that came in."""
    if isinstance(array, torch.Tensor):
        return function(array.detach())
    with warnings.catch_warnings():
        # Read-only arrays (memory maps) are welcome: nothing here writes to its input.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        tensor = torch.from_numpy(np.ascontiguousarray(array))
    return function(tensor).numpy()
