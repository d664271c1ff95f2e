"""What an analysis found: tables of cuts, filters and clusters, and everything behind them, at any threshold."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import nn

from singlefilter import afcc
from singlefilter.analysis import plots, saving
from singlefilter.analysis.heads import Head
from singlefilter.errors import CutError, HeadError
from singlefilter.method import clusters, fields, statistics
from singlefilter.networks.places import CutPoint

QUANTITIES = ("N_c", "C_s", "n", "snr")
COLUMNS = ("accuracy", *QUANTITIES, "dprime")


@dataclass(frozen=True)
class Measured:
    """What one pass left of a cut: means, float32 `[true_label, filters, positions]`; correct, bool, and dprime,
    float32, `[images]` of the test images; size of the positions a head sees; how many images the means are of."""

    means: torch.Tensor
    correct: torch.Tensor
    dprime: torch.Tensor
    size: tuple[int, ...]
    images: int


@dataclass(frozen=True)
class Result(Mapping):
    """An analysis: a mapping from each cut's place to what was found there.

    `layers`, `filters` and `clusters` are tables (`pandas.DataFrame`); `result[place]` has what they are made of.
    names: of the labels; notes: what was done to the pixels, which images answers are of.  Nothing in it needs the
    network but `prune`.
    """

    cuts: tuple[CutPoint, ...]
    heads: dict[str, Head]
    measured: dict[str, Measured]
    names: tuple[str, ...]
    threshold: float
    seed: int
    notes: dict[str, str]
    model: nn.Module | None = field(default=None, compare=False, repr=False)

    def __getitem__(self, place: str) -> Cut:
        if place not in self.measured:
            raise CutError(f"this result has no cut {place!r}; its cuts are {', '.join(self.measured)}")
        return Cut(self, next(cut for cut in self.cuts if cut.module == place))

    def __iter__(self):
        return iter(self.measured)

    def __len__(self) -> int:
        return len(self.measured)

    def __hash__(self) -> int:
        return id(self)

    @functools.cached_property
    def layers(self) -> pd.DataFrame:
        """A row a cut, in the order of the cuts: module, filters, positions, and accuracy, N_c, C_s, n, snr, dprime,
        each with `_low` and `_high` (95 %: Wilson's over images, bootstrap over filters or images)."""
        return pd.DataFrame([self[place]._row() for place in self])

    @functools.cached_property
    def filters(self) -> pd.DataFrame:
        """A row a filter: module, filter, clusters, covered, inside, internal, noise, ones (`count_filters`)."""
        return pd.concat([self[place].counts.assign(module=place) for place in self], ignore_index=True)[
            ["module", "filter", "clusters", "covered", "inside", "internal", "noise", "ones"]
        ]

    @functools.cached_property
    def clusters(self) -> pd.DataFrame:
        """A row a cluster of a filter: module, filter, cluster, size, labels (a tuple of names)."""
        rows = [
            {"module": place, "filter": number, "cluster": which, "size": len(labels), "labels": labels}
            for place in self
            for number in range(self[place].point.filters)
            for which, labels in enumerate(self[place].filter(number).clusters)
        ]
        return pd.DataFrame(rows, columns=["module", "filter", "cluster", "size", "labels"])

    def at_threshold(self, threshold: float) -> Result:
        """The same measurement clipped at another threshold; no image is looked at again."""
        return replace(self, threshold=threshold)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Accuracy, SNR and d' of every cut with intervals, written to `path` (its ending says how) where one is
        given."""
        return plots.written(plots.of_layers({"": self.layers}, self.title), path)

    @property
    def title(self) -> str:
        """What was analysed, in words."""
        return f"{self.notes.get('network', 'network')}, K = {len(self.names)} labels, threshold {self.threshold:g}"

    def prune(self, *places: str, overlap: int = 1, head: str | None = None) -> afcc.Pruned:
        """A copy of the network in which kernels between filters that share labels are kept (`afcc.prune`).

        places: cuts whose convolutions are pruned against each other; of a single one, against the cut before it.
        Raises `HeadError` where the network is not at hand, `ChainError` for what cannot be followed.
        Source: section 8.
        """
        if self.model is None:
            raise HeadError("this result was loaded without its network; analyze it again, or use afcc.prune")
        order = list(self)
        for place in places:
            self[place]  # its error names those there are
        if len(places) == 1 and order.index(places[0]) > 0 and head is None:
            places = (order[order.index(places[0]) - 1], *places)
        return afcc.prune(self.model, {place: self[place].found for place in places}, overlap=overlap, head=head)

    def save(self, path: str | Path) -> Path:
        """Write all but the network into one safetensors file, whole or not at all; `load` reads it."""
        tensors: dict[str, torch.Tensor] = {}
        for number, (place, measured) in enumerate(self.measured.items()):
            head = self.heads[place]
            parts = {"means": measured.means, "correct": measured.correct, "dprime": measured.dprime}
            parts |= {"weight": head.weight} | ({} if head.bias is None else {"bias": head.bias})
            tensors |= {f"{number}/{name}": tensor for name, tensor in parts.items()}
        header = {
            "cuts": [dataclasses.asdict(cut) for cut in self.cuts],
            "sizes": [measured.size for measured in self.measured.values()],
            "images": [measured.images for measured in self.measured.values()],
            **{key: getattr(self, key) for key in ("names", "threshold", "seed", "notes")},
        }
        return saving.write(Path(path), tensors, header)

    def __repr__(self) -> str:
        return f"{self.title}; answers of {self.notes.get('tested', 'train')} images\n{plots.as_text(self.layers)}"

    def _repr_html_(self) -> str:
        return f"<p>{self.title}</p>{plots.as_text(self.layers, html=True)}"


@dataclass(frozen=True)
class Cut:
    """What was found at one cut.  Arrays are numpy, filters in the first axis of matrices."""

    result: Result
    point: CutPoint

    @property
    def means(self) -> np.ndarray:
        """Mean maps, float32 `[true_label, filters, positions]`."""
        return self._measured.means.numpy()

    @property
    def head(self) -> Head:
        """The head: weight `[out_label, filters, positions]`, bias `[out_label]` or None."""
        return self.result.heads[self.point.module]

    @functools.cached_property
    def matrices(self) -> np.ndarray:
        """Field matrices, float32 `[filters, true_label, out_label]`.  Source: section 3."""
        return fields.field_matrices(self._measured.means, self.head.weight).numpy()

    @functools.cached_property
    def clipped(self) -> np.ndarray:
        """Bool `[filters, true_label, out_label]`.  Source: section 4."""
        return clusters.clip(self.matrices, self.result.threshold)

    @functools.cached_property
    def found(self) -> np.ndarray:
        """Number of each label's cluster, integer `[filters, label]`, -1 in none.  Source: section 5."""
        return clusters.find(self.clipped)

    @functools.cached_property
    def counts(self) -> pd.DataFrame:
        """`statistics.count_filters` of this cut.  Source: section 6."""
        return statistics.count_filters(self.clipped, self.found)

    def filter(self, number: int) -> Filter:
        """One filter.  Raises `CutError` for a number that is not there."""
        if not 0 <= number < self.point.filters:
            raise CutError(f"{self.point.module} has filters 0 to {self.point.filters - 1}, {number} asked for")
        return Filter(self, number)

    @property
    def _measured(self) -> Measured:
        return self.result.measured[self.point.module]

    def _row(self) -> dict[str, object]:
        labels, seed = len(self.result.names), self.result.seed
        answers = self._measured.correct
        accuracy = map(float, statistics.proportion_interval(int(answers.sum()), len(answers)))
        dprime = map(float, statistics.mean_interval(self._measured.dprime, seed=seed))
        of_filters = statistics.layer_statistics(self.counts, labels, seed=seed)
        ends = ("", "_low", "_high")
        row: dict[str, object] = {
            "module": self.point.module,
            "filters": self.point.filters,
            "positions": int(np.prod(self._measured.size)),
        }
        row |= {f"accuracy{end}": value for end, value in zip(ends, accuracy, strict=True)}
        row |= {f"{name}{end}": of_filters[f"{name}{end}"] for name in QUANTITIES for end in ends}
        return row | {f"dprime{end}": value for end, value in zip(ends, dprime, strict=True)}


@dataclass(frozen=True)
class Filter:
    """One filter of a cut."""

    cut: Cut
    number: int

    @property
    def matrix(self) -> np.ndarray:
        """Field matrix, float32 `[true_label, out_label]`."""
        return self.cut.matrices[self.number]

    @property
    def clipped(self) -> np.ndarray:
        """Bool `[true_label, out_label]`."""
        return self.cut.clipped[self.number]

    @property
    def clusters(self) -> list[tuple[str, ...]]:
        """Names of the labels of each cluster, the largest first."""
        of_label, names = self.cut.found[self.number], self.cut.result.names
        members = [tuple(names[label] for label in np.flatnonzero(of_label == c)) for c in range(of_label.max() + 1)]
        return sorted(members, key=len, reverse=True)

    @property
    def noise(self) -> int:
        """Ones outside every square.  Source: section 6."""
        return int(self.cut.counts["noise"].iloc[self.number])

    def plot(self, path: str | Path | None = None) -> Figure:
        """Its field matrix, the clip of it, and its labels in cluster order."""
        result, cut = self.cut.result, self.cut
        drawn = plots.of_filter(
            self.matrix, self.clipped, cut.found[self.number], result.names, result.threshold,
            f"{cut.point.module}, filter {self.number}",
        )  # fmt: skip
        return plots.written(drawn, path)


def load(path: str | Path) -> Result:
    """The result that `Result.save` wrote, without its network.

    Raises `InputError` for a file that is none, `OSError` where it cannot be read.

    Example: `load("resnet.sf").layers`.
    """
    return saving.read(path, _result)


def _result(tensors: dict[str, torch.Tensor], header: dict) -> Result:
    cuts = tuple(CutPoint(**cut | {"size": tuple(cut["size"])}) for cut in header["cuts"])
    heads, measured = {}, {}
    for number, cut in enumerate(cuts):
        parts = [tensors[f"{number}/{name}"] for name in ("means", "correct", "dprime")]
        measured[cut.module] = Measured(*parts, tuple(header["sizes"][number]), header["images"][number])
        heads[cut.module] = Head(tensors[f"{number}/weight"], tensors.get(f"{number}/bias"))
    names, notes = tuple(header["names"]), dict(header["notes"])
    return Result(cuts, heads, measured, names, header["threshold"], header["seed"], notes)
