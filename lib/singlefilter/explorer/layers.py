"""What there is to explore, whether a run or an analysis measured it: layers, their filters, and one of these.

A filter's matrix is made when it is looked at, the numbers of a whole layer when they are asked for.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from singlefilter import drawing
from singlefilter.analysis import Result
from singlefilter.method import clusters, fields, statistics
from singlefilter.pipeline import stages
from singlefilter.studies.marking import marked

TYPICAL = ("clusters", "covered", "noise")  # what a filter is typical in
IN_A_BLOCK = 2**26  # bytes of matrices at a time: they stay in the processor's caches and out of the memory's way


@dataclass(frozen=True, eq=False)
class Layer:
    """A cut with its flat head.  means, float32 `[true_label, filters, positions]`; weights, float32
    `[out_label, filters, positions]`; `key`: by what it is asked for, a number or a module's place."""

    key: int | str
    name: str
    means: torch.Tensor
    weights: torch.Tensor

    @property
    def filters(self) -> int:
        return self.means.shape[1]


@dataclass(frozen=True)
class Explored:
    """Layers by their key, names of the labels, the threshold to begin with, and where all of it comes from."""

    layers: dict[int | str, Layer]
    names: tuple[str, ...]
    threshold: float
    source: str


@dataclass(frozen=True)
class Seen:
    """One filter at a threshold: matrix, `[true_label, out_label]`; ones, bool, of the same shape; the number of each
    label's cluster, -1 in none, and the labels in cluster order, integers `[label]`.  Source: sections 3 to 5."""

    matrix: np.ndarray
    ones: np.ndarray
    found: np.ndarray
    order: np.ndarray

    @property
    def members(self) -> dict[int, list[int]]:
        """The labels of each cluster by its number, the largest cluster first."""
        placed = [int(label) for label in self.order if self.found[label] >= 0]
        numbers = dict.fromkeys(int(self.found[label]) for label in placed)
        return {number: [label for label in placed if self.found[label] == number] for number in numbers}

    @property
    def noise(self) -> int:
        """Ones outside every square.  Source: section 6."""
        return int(self.ones.sum()) - sum(len(labels) ** 2 for labels in self.members.values())


def of(source: stages.Run | Result) -> Explored:
    """What there is of a run, whose missing stages are done, or of an analysis.

    Raises `TypeError` for anything else.
    """
    if isinstance(source, stages.Run):
        means, weights = stages.measurement(source).class_means, stages.heads(source)[0]
        layers = [
            Layer(point.cut.layer, point.cut.name, means[point.name], weights[point.name])
            for point in stages.flat_points(source)
        ]
        names, threshold = stages.splits(source)["train"].names, source.profile.analysis.threshold
        where = marked(source, pd.DataFrame(index=[0]))
        data = drawing.banner_for(where) or where["data"].iloc[0]
        words = f"Data: {data}. Network: {source.profile.network.title}. Profile: {source.profile.name}."
    elif isinstance(source, Result):
        layers = [
            Layer(place, place, measured.means, source.heads[place].weight)
            for place, measured in source.measured.items()
        ]
        names, threshold = source.names, source.threshold
        words = f"Network: {source.notes.get('network', 'of your own')}."
    else:
        raise TypeError(f"a run (`stages.of`) or a result (`analyze`) can be explored, not a {type(source).__name__}")
    return Explored({layer.key: layer for layer in layers}, tuple(names), threshold, words)


def see(layer: Layer, filter_: int, threshold: float) -> Seen:
    """One filter of a layer; raises `ValueError` for one that is not there, or a threshold outside (0, 1)."""
    if not 0 <= filter_ < layer.filters:
        raise ValueError(f"{layer.name} has filters 0 to {layer.filters - 1}, {filter_} asked for")
    part = slice(filter_, filter_ + 1)
    matrix = fields.field_matrices(layer.means[:, part], layer.weights[:, part])
    ones = clusters.clip(matrix, threshold)
    found = clusters.find(ones)
    arrays = (matrix, ones, found, clusters.display_order(found))
    return Seen(*(array[0].numpy() for array in arrays))


@functools.lru_cache(maxsize=16)
def survey(layer: Layer, threshold: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Of every filter of a layer its numbers (`statistics.count_filters`) and the clusters of its labels, integer
    `[filters, label]`, -1 in none."""
    tables, of_labels = [], []
    for part, matrices in fields.chunks(layer.means, layer.weights, IN_A_BLOCK):
        clipped = clusters.clip(matrices, threshold)
        found = clusters.find(clipped)
        tables.append(statistics.count_filters(clipped, found).assign(filter=range(layer.filters)[part]))
        of_labels.append(found.numpy())
    return pd.concat(tables, ignore_index=True), np.concatenate(of_labels)


def typical(counted: pd.DataFrame) -> int:
    """The filter that stands nearest to the middle in clusters, covered labels and noise at once, by rank."""
    ranks = counted[list(TYPICAL)].rank()
    return int(counted["filter"].iloc[(ranks - ranks.median()).abs().sum(axis=1).argmin()])


def matching(names: tuple[str, ...], words: str) -> list[int]:
    """The labels that are meant: the one of that name, else those that differ in capitals alone, else those that
    have the words in their name."""
    spoken = [drawing.spoken(name) for name in names]
    wanted = words.strip()
    for fits in (
        lambda label: wanted in (spoken[label], names[label]),
        lambda label: wanted.casefold() in (spoken[label].casefold(), names[label].casefold()),
        lambda label: wanted.casefold() in spoken[label].casefold(),
    ):
        if meant := [label for label in range(len(names)) if fits(label)]:
            return meant
    return []
