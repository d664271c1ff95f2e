"""Linear heads on every cut of a frozen trunk, trained together from one pass over the trunk.

The heads share no parameter, so the gradient of the sum of their losses is each one's own gradient, and one backward
pass trains them all exactly as if each were alone.  Source: section 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from singlefilter import data, distributed, profiles
from singlefilter.method import features
from singlefilter.networks import checkpoints, epochs, training
from singlefilter.networks.calling import Forward, prepared
from singlefilter.networks.capture import reading
from singlefilter.networks.cuts import check_steady
from singlefilter.networks.places import CutPoint

LARGEST_FLAT = 2**16  # inputs of a flat head; larger maps are average-pooled to at most 7x7 first
POOL_LARGE_TO = 7
FEW = 4  # images on which it is tried how a network is called


@dataclass(frozen=True)
class HeadPoint:
    """A head: the cut it sits on, its kind, and the size to which the map is average-pooled before it."""

    cut: CutPoint
    kind: str
    size: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"layer{self.cut.layer}_{self.kind}"

    @property
    def positions(self) -> int:
        return math.prod(self.size)

    @property
    def fan_in(self) -> int:
        return self.cut.filters * self.positions

    def seen(self, maps: dict[str, torch.Tensor]) -> torch.Tensor:
        """The map that the head sees, of a pass's: `[images, filters, *size]`.

        Raises `CutError` where the maps are not those of the cut.
        """
        return pooled(self.cut.view(maps[self.cut.module]), self.size)

    def features(self, maps: dict[str, torch.Tensor]) -> torch.Tensor:
        """What the head sees: float `[images, filters * positions]`, filters first."""
        return self.seen(maps).flatten(1)


def pooled(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Maps `[images, filters, *positions]` average-pooled to a size, as they are when they have it already."""
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    if len(size) == 1:
        return functional.adaptive_avg_pool1d(maps, size[0])
    return functional.adaptive_avg_pool2d(maps, tuple(size))


def flat_size(cut: CutPoint) -> tuple[int, ...]:
    """The size that a flat head sees: the map's own, unless that is too large (section 2): then its images are
    averaged to at most 7 x 7 positions, tokens to as many, the inside of attention heads not at all."""
    if cut.filters * cut.positions <= LARGEST_FLAT:
        return cut.size
    if len(cut.size) == 1 or cut.layout == "NTHD":
        return (min(cut.size[0], POOL_LARGE_TO**2), *cut.size[1:])
    return tuple(min(side, POOL_LARGE_TO) for side in cut.size)


def head_points(
    cuts: Sequence[CutPoint], config: profiles.Heads, inside: Mapping[str, Sequence[CutPoint]] = MappingProxyType({})
) -> tuple[HeadPoint, ...]:
    """The heads of a profile: `flat` on the map as it is, `pooled` on the map at the size of the deepest one,
    those of `profiles.INSIDE` at a place inside the layer, whose cuts are `inside`, by kind.

    In ascending order of layers.  Raises `ValueError` when the profile names a layer that the network does not have.
    """
    by_layer = {cut.layer: cut for cut in cuts}
    if unknown := set(config.cuts) - set(by_layer):
        raise ValueError(f"heads.cuts: the network has no layer {sorted(unknown)}; it has 1 to {max(by_layer)}")
    for kind in config.kinds:
        if kind in profiles.INSIDE and {cut.layer for cut in inside.get(kind, ())} != set(by_layer):
            raise ValueError(f"heads.kinds: {kind} given, but the layers of the network have no such place")
    deepest = min((cut.size for cut in cuts), key=math.prod)
    points = []
    for layer in sorted(set(config.cuts) or by_layer):
        cut = by_layer[layer]
        alike = len(cut.size) == len(deepest)
        smallest = tuple(map(min, cut.size, deepest)) if alike else (1,) * len(cut.size)
        sizes = {"flat": flat_size(cut), "pooled": smallest}
        for kind in dict.fromkeys(config.kinds):
            place = next((one for one in inside.get(kind, ()) if one.layer == layer), cut)
            points.append(HeadPoint(place, kind, sizes[kind] if kind in sizes else flat_size(place)))
    return tuple(points)


def initial_weights(points: Sequence[HeadPoint], labels: int, seed: int) -> dict[str, torch.Tensor]:
    """Weights uniform in +-1/sqrt(fan_in), float32 `[out_label, filters * positions]` a head.

    A head's weights depend on the seed, its layer and its size alone, not on the other heads trained with it.
    """
    weights = {}
    for point in points:
        generator = torch.Generator().manual_seed(data.mix(seed, point.cut.layer, point.fan_in))
        bound = 1 / math.sqrt(point.fan_in)
        uniform = torch.rand(labels, point.fan_in, generator=generator, dtype=torch.float32)
        weights[point.name] = (uniform * 2 - 1) * bound
    return weights


class LinearHeads(nn.Module):
    """Heads of all cuts in one module: features `[images, fan_in]` of each give logits `[images, out_label]` of each.

    weights: float32 `[out_label, fan_in]` by the head's name, which is the parameter's too; features come in the same
    order.
    """

    def __init__(self, weights: Mapping[str, torch.Tensor]):
        super().__init__()
        for name, weight in weights.items():
            self.register_parameter(name, nn.Parameter(weight))

    def forward(self, seen: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [feature @ weight.T for feature, weight in zip(seen, self.parameters(), strict=True)]


def fit(
    model: nn.Module,
    points: Sequence[HeadPoint],
    train: data.Split,
    recipe: profiles.Heads,
    *,
    seed: int,
    checkpoint: Path | None = None,
    deadline: float = math.inf,
) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    """Train the heads of a frozen network, all together; the network is left as it was found.

    Returns the weights, float32 `[out_label, filters, positions]` by the head's name, and the training curves
    (epoch, head, accuracy, loss, learning_rate, seconds).  Raises `CutError` for maps that are not those of the cuts,
    `ForwardError` where the network fails or its maps depend on more than the image, `epochs.Paused` and
    `epochs.Diverged`.
    """
    on = train.device
    fan_ins = [point.fan_in for point in points]
    with frozen_trunk(model, points, data.to_input(train.first(FEW))) as features_of:

        def trunk(images: torch.Tensor) -> list[torch.Tensor]:
            with training.autocast(on):
                return [feature.float() for feature in features_of(images)]

        return fit_features(
            features.by_epoch(trunk, fan_ins, train, recipe, seed), len(train), points, len(train.names), recipe,
            on=on, seed=seed, checkpoint=checkpoint, deadline=deadline,
            of="" if checkpoint is None else checkpoints.fingerprint(model.state_dict()),
        )  # fmt: skip


@contextmanager
def frozen_trunk(
    model: nn.Module,
    points: Sequence[HeadPoint],
    example: torch.Tensor,
    forward: Forward | None = None,
) -> Iterator[Callable[[torch.Tensor], list[torch.Tensor]]]:
    """Inside, what is yielded gives the features of every head, `[images, filters * positions]`, of some images.

    example: a few images as the network is given them, on the device that computes; forward: see
    `networks.calling.Call`.  Raises `ForwardError` where the network fails on them, or where maps of an image depend
    on more than the image; the network is left as it was found.
    """
    cuts = [point.cut for point in points]
    with reading(model, cuts) as read, prepared(model, example, forward) as call:
        check_steady(model, cuts, call, read, example)

        def features_of(images: torch.Tensor) -> list[torch.Tensor]:
            read.clear()
            call(images)
            return [point.features(read.maps) for point in points]

        yield features_of


def fit_features(
    batches: features.Batches,
    images: int,
    points: Sequence[HeadPoint],
    labels: int,
    recipe: profiles.Heads,
    *,
    on: torch.device,
    seed: int,
    checkpoint: Path | None = None,
    deadline: float = math.inf,
    of: str = "",
) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    """Train heads from the features that a frozen trunk gives; `fit` without the trunk.

    batches: by epoch, the features of each head, float32 `[batch, filters * positions]`, and labels, int64; images:
    how many are in an epoch; of: tells a checkpoint of this trunk from others.
    """
    together = LinearHeads(initial_weights(points, labels, seed)).to(on)
    steps = training.optimizer(together.parameters(), recipe)
    forward = distributed.over_ranks(together)

    def step(seen: list[torch.Tensor], truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.enable_grad():
            logits = forward(seen)
            losses = torch.stack([functional.cross_entropy(item, truth) for item in logits])
            distributed.backward(losses.sum(), len(truth))
        correct = torch.stack([(item.argmax(1) == truth).sum() for item in logits])
        return losses.detach(), correct

    def close_epoch(epoch: int, losses: torch.Tensor, accuracies: torch.Tensor) -> list[dict]:
        return [
            {"head": point.name, "accuracy": accuracy, "loss": loss}
            for point, accuracy, loss in zip(points, accuracies.tolist(), losses.tolist(), strict=True)
        ]

    rows = epochs.run_epochs(
        batches, images, recipe, steps, step, close_epoch, {"weights": together, "optimizer": steps},
        seed=seed, checkpoint=checkpoint, deadline=deadline, title="training heads", of=of,
    )  # fmt: skip
    shaped = {
        point.name: weight.detach().reshape(labels, point.cut.filters, point.positions).cpu()
        for point, weight in zip(points, together.parameters(), strict=True)
    }
    return shaped, pd.DataFrame(rows)[["epoch", "head", "accuracy", "loss", "learning_rate", "seconds"]]


@torch.no_grad()
def logits(
    model: nn.Module, point: HeadPoint, weights: torch.Tensor, split: data.Split, batch: int = 500
) -> torch.Tensor:
    """Logits of one head on un-augmented images, float32 `[images, out_label]`; the network is left as it was found.

    weights: float32 `[out_label, filters, positions]`.  Raises `ValueError` for a batch without images.
    """
    kernel = weights.to(split.device).flatten(1).T
    parts = []
    with frozen_trunk(model, [point], data.to_input(split.first(FEW))) as features_of:
        for images, _ in split.in_batches(batch):
            with training.autocast(split.device):
                (seen,) = features_of(data.to_input(images))
            parts.append(seen.float() @ kernel)
    return torch.cat(parts)
