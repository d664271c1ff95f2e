"""What the filters of a run recognise, as pruning needs it: their clusters, and scores that rank them."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch

from singlefilter import profiles
from singlefilter.method import clusters, fields, heads
from singlefilter.pipeline import stages


def flat_points(run: stages.Run) -> dict[int, heads.HeadPoint]:
    """The flat heads of a run by the layer that they sit on, the shallowest first."""
    return {point.cut.layer: point for point in stages.flat_points(run)}


def points_of(run: stages.Run, layers: tuple[int, ...], key: str) -> list[heads.HeadPoint]:
    """The flat heads of some layers.  Raises `ProfileError`, which names the key, where the profile has none."""
    there = flat_points(run)
    if missing := [layer for layer in layers if layer not in there]:
        raise profiles.ProfileError(
            f"profile {run.profile.name}: {key}: clusters of layer {missing[0]} are needed, there are heads at "
            f"{', '.join(map(str, there))} (heads.cuts)"
        )
    return [there[layer] for layer in layers]


@functools.lru_cache(maxsize=64)
def clusters_at(run: stages.Run, layer: int, threshold: float, split: str = "train") -> torch.Tensor:
    """Clusters of every filter of a layer on the images of a split, int64 `[filters, label]`.  Source: section 5."""
    return torch.cat([clusters.find(clusters.clip(part, threshold)) for part in _matrices(run, layer, split)])


def scores_at(run: stages.Run, layer: int, score: str) -> torch.Tensor:
    """How much each filter of a layer is worth, float32 `[filters]`, on training images.

    covered: labels in its clusters.  margin: mean over labels of its field on the true output minus that on the
    others, `mean_i (M[f,i,i] - mean over j != i of M[f,i,j])`; over the filters it adds up to the head's mean margin,
    which is the upper part of d'.  Source: section 6; both as scores for pruning are additions of the companion.
    """
    if score == "covered":
        return (clusters_at(run, layer, run.profile.analysis.threshold) >= 0).sum(1).float()
    if score == "margin":
        return torch.cat([_margin(part) for part in _matrices(run, layer, "train")])
    raise ValueError(f"no score named {score!r}: there are {', '.join(profiles.FILTER_SCORES)}")


def _margin(matrices: torch.Tensor) -> torch.Tensor:
    labels = matrices.shape[1]
    true = matrices.diagonal(0, 1, 2).sum(1)
    return (true - (matrices.sum((1, 2)) - true) / (labels - 1)) / labels


def _matrices(run: stages.Run, layer: int, split: str) -> Iterator[torch.Tensor]:
    name = flat_points(run)[layer].name
    means, weights = stages.measurement(run, split).class_means[name], stages.heads(run)[0][name]
    return (part for _, part in fields.chunks(means, weights))
