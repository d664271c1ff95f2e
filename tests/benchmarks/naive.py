"""The method the way that comes to mind first, as the group's scripts work: what ours is compared with.

Written from the method, section by section; nothing here is tuned, and nothing is slowed down on purpose.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from singlefilter import data, profiles
from singlefilter.method import heads


@torch.no_grad()
def measure(
    trunk: nn.Sequential,
    points: list[heads.HeadPoint],
    weights: dict[str, torch.Tensor],
    split: data.Split,
    batch: int,
) -> dict[str, dict[str, torch.Tensor]]:
    """Sections 3 and 6: a pass over the images for each cut; fields of every filter, image and output.

    By the head's name: matrices `[filters, true_label, out_label]`, correct and dprime `[images]`.
    """
    labels, found = len(split.names), {}
    for point in points:
        cut = trunk[: point.cut.layer].eval()
        head = weights[point.name]
        matrices = torch.zeros(point.cut.filters, labels, labels)
        correct, dprime = [], []
        for start in range(0, len(split), batch):
            truth = split.labels[start : start + batch]
            maps = cut(
                data.to_input(split.images[start : start + batch]).contiguous(memory_format=torch.channels_last)
            )
            phi = torch.einsum("nfp,jfp->nfj", heads.pooled(maps, point.size).flatten(2), head)
            for f in range(point.cut.filters):
                matrices[f].index_add_(0, truth, phi[:, f])
            logits = phi.sum(1)
            correct.append(logits.argmax(1) == truth)
            true = functional.one_hot(truth, labels).bool()
            others = logits[~true].view(len(truth), labels - 1)
            dprime.append((logits[true] - others.mean(1)) / others.std(1, correction=0))
        matrices /= torch.bincount(split.labels)[:, None]
        found[point.name] = {"matrices": matrices, "correct": torch.cat(correct), "dprime": torch.cat(dprime)}
    return found


def clusters(clipped: np.ndarray) -> np.ndarray:
    """Section 5, filter by filter, label by label, element by element: int64 `[filters, label]`."""
    filters, labels, _ = clipped.shape
    found = np.full((filters, labels), -1, dtype=np.int64)
    for f in range(filters):
        matrix, number = clipped[f], 0
        listed = [label for label in range(labels) if matrix[label, label]]
        for first in listed:
            if found[f, first] >= 0:
                continue
            members = [first]
            for label in listed:
                if label > first and found[f, label] < 0 and _is_square(matrix, [*members, label]):
                    members.append(label)
            found[f, members] = number
            number += 1
    return found


def _is_square(matrix: np.ndarray, members: list[int]) -> bool:
    for i in members:
        for j in members:
            if not matrix[i, j]:
                return False
    return True


def count(fields: np.ndarray, threshold: float = 0.3) -> np.ndarray:
    """Sections 4 to 6, element by element: clusters, covered labels, noise of each filter, int64 `[filters, 3]`."""
    filters, labels, _ = fields.shape
    counts = np.zeros((filters, 3), dtype=np.int64)
    for f in range(filters):
        matrix, largest = fields[f], fields[f].max()
        ones = np.zeros((1, labels, labels), dtype=bool)
        for i in range(labels):
            for j in range(labels):
                ones[0, i, j] = largest > 0 and matrix[i, j] / largest > threshold
        (found,) = clusters(ones)
        noise = 0
        for i in range(labels):
            for j in range(labels):
                if ones[0, i, j] and not (found[i] >= 0 and found[i] == found[j]):
                    noise += 1
        counts[f] = found.max() + 1, (found >= 0).sum(), noise
    return counts


def heads_one_by_one(
    trunk: nn.Sequential, points: list[heads.HeadPoint], train: data.Split, recipe: profiles.Heads, seed: int
) -> dict[str, torch.Tensor]:
    """Section 2: one head after the other on its part of the trunk; weights `[out_label, filters, positions]`."""
    initial = heads.initial_weights(points, len(train.names), seed)
    weights = {}
    for point in points:
        cut = trunk[: point.cut.layer].eval()
        layer = nn.Linear(point.fan_in, len(train.names), bias=False)
        layer.weight.data = initial[point.name].clone()
        steps = torch.optim.SGD(
            layer.parameters(), recipe.learning_rate, recipe.momentum, 0, recipe.weight_decay, nesterov=True
        )
        for epoch in range(recipe.epochs):
            for group in steps.param_groups:
                group["lr"] = recipe.learning_rate * recipe.factor**epoch
            batches = data.batches(train, recipe.batch, seed=seed, epoch=epoch, shift=recipe.shift, flip=recipe.flip)
            for images, labels in batches:
                with torch.no_grad():
                    maps = heads.pooled(cut(images), point.size).flatten(1)
                loss = functional.cross_entropy(layer(maps), labels)
                steps.zero_grad()
                loss.backward()
                steps.step()
        weights[point.name] = layer.weight.detach().reshape(len(train.names), point.cut.filters, point.positions)
    return weights


def bootstrap(columns: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Section 6: sums over units drawn with replacement, one resample after another, `[resamples, column]`."""
    rng = np.random.default_rng(seed)
    sums = []
    for _ in range(resamples):
        drawn = rng.integers(len(columns), size=len(columns))
        sums.append([sum(columns[unit, column] for unit in drawn) for column in range(columns.shape[1])])
    return np.array(sums)


def random_matrices(clipped: np.ndarray, seed: int) -> np.ndarray:
    """Each matrix on its own, its places one by one: what is drawn for a place goes there."""
    rng = np.random.default_rng(seed)
    shuffled = np.zeros_like(clipped)
    size = clipped.shape[1]
    for matrix, target in zip(clipped, shuffled, strict=True):
        for wanted in (True, False):
            places = [(i, j) for i in range(size) for j in range(size) if (i == j) == wanted]
            ones = rng.permutation([matrix[place] for place in places])
            for place, one in zip(places, ones, strict=True):
                target[place] = one
    return shuffled
