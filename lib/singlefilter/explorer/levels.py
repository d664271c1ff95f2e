"""Field matrices as bytes, of which a page's clip is exactly the library's at every threshold of two decimals.

With r an element over the largest of its filter, a byte holds `q = ceil(100 r) - 1`, so that `r > t` is `q >= 100 t`.
To which of two neighbours an element on a border belongs depends on how a threshold is rounded, so the library's own
`clip` decides there.  Source: section 4.
"""

from __future__ import annotations

import bisect
import zlib
from collections.abc import Sequence

import numpy as np
import torch

from singlefilter.method import clusters

THRESHOLDS = 99  # 0.01 to 0.99, and byte 0 for what is above none of them
BELOW = 20  # tenths that are told apart below zero, where no threshold is: the last one holds all that is lower
BORDER = 1e-3  # hundredths of the largest: far more than rounding moves an element
PART = 2**22  # elements at a time, of which there are a few copies as float64


def levels(matrices: np.ndarray | torch.Tensor) -> np.ndarray:
    """Field matrices as bytes, uint8 `[filters, true_label, out_label]`.

    matrices: real `[filters, true_label, out_label]`, as `clusters.clip` takes them.

    0 to 99: how many of the thresholds 0.01 to 0.99 the element is above, so `clip(matrices, k / 100)` is
    `(levels >= k) & (levels < 100)` for every k of 1 to 99.  100 to 119: an element below zero, by tenths of the
    largest: 100 is above -0.1, 119 is all below -1.9.  A filter that is clipped to nothing (its largest element is
    not above zero or not finite, or one is NaN) is 0 throughout.  Raises what `clusters.clip` raises.
    """
    matrices = torch.as_tensor(matrices).detach().cpu()
    clusters.clip(matrices[:1])  # raises where these are no matrices
    found = np.empty(matrices.shape, np.uint8)
    part = max(1, PART // matrices[0].numel()) if len(matrices) else 1
    for start in range(0, len(matrices), part):
        found[start : start + part] = _levels(matrices[start : start + part])
    return found


def _levels(matrices: torch.Tensor) -> np.ndarray:
    values = matrices.double().numpy()
    largest = values.max((1, 2), keepdims=True)  # NaN wherever the filter holds one
    live = (largest > 0) & np.isfinite(largest)
    hundredths = np.divide(100 * values, largest, out=np.zeros_like(values), where=live)
    q = (np.ceil(hundredths) - 1).clip(0, THRESHOLDS)
    nearest = np.rint(hundredths).clip(0, THRESHOLDS + 1)
    border = np.flatnonzero((np.abs(hundredths - nearest) < BORDER) & (nearest >= 1) & (nearest <= THRESHOLDS))
    most = matrices.amax((1, 2))[border // matrices[0].numel()]
    alone = torch.stack([most, matrices.flatten()[border]] * 2, 1).view(-1, 2, 2)  # beside the filter's largest
    of = nearest.flat[border]
    for k in np.unique(of):
        q.flat[border[of == k]] = k - 1 + clusters.clip(alone[of == k], k / 100)[:, 0, 1].numpy()
    tenths = np.floor((-hundredths / 10).clip(0, BELOW - 1))  # -inf is the lowest there is
    return np.where(live & (values < 0), THRESHOLDS + 1 + tenths, q).astype(np.uint8)


def packed(of_filters: np.ndarray) -> bytes:
    """Levels `[filters, true_label, out_label]` compressed (zlib), the same bytes for the same levels.

    They lie as `[filters, out_label, true_label]`: a column of a matrix, an output that a filter favours whatever it
    sees, is more alike than a row, and takes a fifth less so.
    """
    return zlib.compress(np.ascontiguousarray(of_filters.transpose(0, 2, 1)).tobytes(), 6)


def spread(count: int, most: int) -> tuple[int, ...]:
    """At most `most` of the numbers 0 to count - 1, evenly spread, the first among them: a part that favours none."""
    if most >= count:
        return tuple(range(count))
    return tuple(place * count // most for place in range(most))


def fair_share(filters: Sequence[int], elements: int, most: float) -> int:
    """The largest number of filters a layer may show, at least 1, with at most `most` elements in all.

    filters: of each layer; elements: of a matrix.
    """
    shares = range(1, max(filters) + 1)
    fitting = bisect.bisect_right(
        shares, most, key=lambda share: elements * sum(min(share, of_layer) for of_layer in filters)
    )
    return max(1, fitting)
