"""What a map's number of positions does to clusters, whatever was learnt. Source: section 9 of the method.

The field matrix of a filter is (mean maps) x (head weights), so its rank is at most the number of positions.  Of one
position it is an outer product: then any two labels on its diagonal are linked one way at least, by algebra, and
clusters are few and large.  Layers whose maps differ in size can be compared only where the head sees as many
positions of each.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import torch

from singlefilter import profiles
from singlefilter.method import clusters, fields, heads, statistics
from singlefilter.pipeline import stages
from singlefilter.studies.controls import tables as controls
from singlefilter.studies.controls.tables import ENDS
from singlefilter.studies.layers import counting

VIEWS = {"flat": "map as it is", "pooled": "pooled", profiles.UNPOOLED: "before the last pool"}
COUNTED = ("N_c", "C_s", "n", "snr")


def unpooled(run: stages.Run) -> stages.Run | None:
    """The same network with a head on its last layer in front of the pool that ends it, beside the flat one; `None`
    where no pool ends that layer, or the profile does not look at it."""
    last = stages.points(run)[-1].cut
    looked_at = run.profile.heads.cuts or (last.layer,)
    if run.profile.network.name != "vgg" or last.layer != _layers(run) or last.layer not in looked_at:
        return None
    changed = dataclasses.replace(run.profile.heads, kinds=("flat", profiles.UNPOOLED), cuts=(last.layer,))
    name = f"{run.profile.name}-{profiles.UNPOOLED}"
    return dataclasses.replace(run, profile=dataclasses.replace(run.profile, name=name, heads=changed))


def provenance(run: stages.Run) -> dict[str, dict]:
    """Where the head in front of the last pool comes from: `stages.summary`; empty where there is none."""
    other = unpooled(run)
    return {} if other is None else {"before the last pool": stages.summary([other])}


def geometry(run: stages.Run) -> pd.DataFrame:
    """Clusters, noise and SNR of the same filters through heads that see other numbers of positions, from field
    matrices of training images; one row a layer and `view`.

    `view`: "map as it is" (the flat head); "pooled", averaged to the size of the deepest map (the pooled head, where
    the profile has it); "before the last pool", the last layer of VGG in front of the
    pool that ends it, whose head is trained for this.  `positions`: how many the head sees.  `rank`: of the field
    matrix, at most the smaller of positions and K, the mean over filters; `first`: share of its first outer product
    in the sum of its squares, 1 where every row is a multiple of every other; `linked`: of all pairs of labels on a
    filter's diagonal, the share that is linked one way at least, NaN where there is no pair; `single`: share of
    filters with exactly one cluster.  `N_c`, `C_s`, `n`, `snr` as everywhere, `accuracy` of the head on test images.
    Intervals by a bootstrap over filters, Wilson's for accuracy.  Source: sections 3, 5, 6 and 9.

    Example: `geometry(stages.of("laptop")).pivot(index="layer", columns="view", values="snr")`.
    """
    rows = [_row(run, point) for point in stages.points(run) if point.kind in VIEWS]
    if (other := unpooled(run)) is not None:
        rows += [_row(other, point) for point in stages.points(other) if point.kind == profiles.UNPOOLED]
    return pd.DataFrame(rows)


def _layers(run: stages.Run) -> int:
    """How many layers the network has, whichever of them the profile looks at."""
    every = dataclasses.replace(run.profile, heads=dataclasses.replace(run.profile.heads, cuts=()))
    return stages.points(dataclasses.replace(run, profile=every))[-1].cut.layer


def _row(run: stages.Run, point: heads.HeadPoint) -> dict[str, object]:
    labels, (resamples, seed) = controls.labels_of(run), controls.resampling(run)
    row = controls.place(point) | {"view": VIEWS[point.kind], "positions": point.positions}
    for name, value in zip(("rank", "first", "linked", "single"), _shape(run, point), strict=True):
        above, below = value
        columns = np.stack([above, below], axis=1)
        sums = statistics.resampled_sums(columns, resamples, np.random.default_rng(seed))
        mean = controls.ratio(above.sum(), below.sum())
        row |= controls.with_interval(name, mean, controls.ratio(sums[:, 0], sums[:, 1]))
    counted = counting.counts(run, "train", point.kind)[point.cut.layer]
    layer = statistics.layer_statistics(counted, labels, resamples, seed)
    row |= {f"{name}{end}": layer[f"{name}{end}"] for name in COUNTED for end in ENDS}
    answers = stages.measurement(run, "test").correct[point.name]
    interval = statistics.proportion_interval(int(answers.sum()), len(answers))
    row |= {f"accuracy{end}": float(value) for end, value in zip(ENDS, interval, strict=True)}
    return row | {"filters": layer["filters"], "images": len(answers)}


def _shape(run: stages.Run, point: heads.HeadPoint) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rank, first share, linked pairs and single clusters: two columns over filters each, whose sums' ratio it is."""
    means, weights = stages.measurement(run).class_means[point.name], stages.heads(run)[0][point.name]
    parts = []
    for part, matrices in fields.chunks(means, weights):
        values = singular_values(means[:, part], weights[:, part])
        squares = values.square()
        resolved = values > values[:, :1] * matrices.shape[1] * torch.finfo(torch.float32).eps
        clipped = clusters.clip(matrices, run.profile.analysis.threshold)
        linked, pairs = linked_pairs(clipped)
        single = clusters.find(clipped).amax(1) == 0
        ones = torch.ones(len(matrices))
        columns = resolved.sum(1), ones, squares[:, 0], squares.sum(1), linked, pairs, single, ones
        parts.append(torch.stack([column.double() for column in columns], dim=1))
    rank, one, first, whole, linked, pairs, single, each = torch.cat(parts).T.numpy()
    share = np.divide(first, whole, out=np.zeros_like(first), where=whole > 0)  # a dead filter has no first product
    return [(rank, one), (share, (whole > 0).astype(float)), (linked, pairs), (single, each)]


def singular_values(class_means: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Singular values of field matrices, the largest first, as many as can be other than zero.

    class_means: float `[true_label, filters, positions]`; weights: float `[out_label, filters, positions]`.  Returns
    float64 `[filters, min(K, positions)]`.  Where positions are fewer than labels, from the small product of the
    triangles of both factors, so no matrix of K x K is decomposed.  Source: section 3.
    """
    left, right = class_means.double().transpose(0, 1), weights.double().transpose(0, 1)
    if left.shape[2] < left.shape[1]:
        left, right = (torch.linalg.qr(factor, mode="r").R for factor in (left, right))
    return torch.linalg.svdvals(left @ right.transpose(1, 2))


def linked_pairs(clipped: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the pairs of labels on the diagonal of clipped matrices, those linked one way at least, and all of them.

    clipped: bool `[filters, true_label, out_label]`; two counts, int64 `[filters]`.
    """
    on = clipped.diagonal(0, 1, 2)
    either = (clipped | clipped.transpose(1, 2)) & on[:, :, None] & on[:, None, :]
    count = on.sum(1)
    return (either.sum((1, 2)) - count) // 2, count * (count - 1) // 2
