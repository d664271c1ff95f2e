"""Masked heads on the frozen trunk: all of them retrained, or tested, from one pass over the images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from singlefilter import data, networks, profiles
from singlefilter.afcc import masks as masks_
from singlefilter.afcc.retraining import guarded_epochs
from singlefilter.method import heads
from singlefilter.networks import training


@dataclass(frozen=True)
class MaskedHead:
    """A head and what is kept of it.

    weights: float32 `[out_label, filters, positions]`; mask: bool `[out_label, filters]` or one value a weight; None
    keeps all, for a dense head that is to be retrained just like the others.
    """

    point: heads.HeadPoint
    weights: torch.Tensor
    mask: torch.Tensor | None = None


def retrain_heads(
    model: nn.Module,
    masked: Mapping[str, MaskedHead],
    train: data.Split,
    recipe: profiles.Recipe,
    *,
    seed: int,
    checkpoint: Path | None = None,
    deadline: float = math.inf,
) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    """Train masked heads on the frozen trunk, all of them from one pass over it, each as if it were alone.

    masked: heads by any names (without a dot); several may sit on one cut.  Returns their weights, float32
    `[out_label, filters, positions]` on the CPU, and curves: epoch, head, accuracy, loss, learning_rate, seconds.
    The network is left as it was found.  Raises as `retrain`.
    """
    on = train.device
    model.to(on, memory_format=torch.channels_last)
    weights = nn.ParameterDict({name: nn.Parameter(head.weights.to(on).clone()) for name, head in masked.items()})
    masks = {name: head.mask for name, head in masked.items() if head.mask is not None}
    points = {head.point.name: head.point for head in masked.values()}

    with networks.capture(model, [point.cut.module for point in points.values()]) as maps:

        def batches(epoch: int) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
            for images, labels in training.augmented(train, recipe, seed)(epoch):
                yield _features(model, points, maps, images), labels

        def step(features: dict[str, torch.Tensor], labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            with torch.enable_grad():
                logits = [features[head.point.name] @ weights[name].flatten(1).T for name, head in masked.items()]
                losses = torch.stack([functional.cross_entropy(item, labels) for item in logits])
                losses.sum().backward()
            return losses.detach(), torch.stack([(item.argmax(1) == labels).sum() for item in logits])

        def close_epoch(epoch: int, losses: torch.Tensor, accuracies: torch.Tensor) -> list[dict]:
            measured = zip(masked, accuracies.tolist(), losses.tolist(), strict=True)
            return [{"head": name, "accuracy": accuracy, "loss": loss} for name, accuracy, loss in measured]

        rows = guarded_epochs(
            weights, list(weights.parameters()), masks, batches, len(train), recipe, step, close_epoch,
            seed=seed, checkpoint=checkpoint, deadline=deadline, title="retraining heads",
        )  # fmt: skip
    trained = {name: weight.detach().cpu() for name, weight in weights.items()}
    return trained, pd.DataFrame(rows)[["epoch", "head", "accuracy", "loss", "learning_rate", "seconds"]]


def correct_answers(
    model: nn.Module, masked: Mapping[str, MaskedHead], split: data.Split, batch: int = 500
) -> dict[str, torch.Tensor]:
    """Whether each head, its mask applied, is right: bool `[images]` on the CPU by the head's name, un-augmented."""
    on = split.device
    model.to(on, memory_format=torch.channels_last)
    points = {head.point.name: head.point for head in masked.values()}
    kernels = {name: _masked_weights(name, head).to(on).flatten(1).T for name, head in masked.items()}
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in masked}
    with networks.capture(model, [point.cut.module for point in points.values()]) as maps:
        for images, labels in split.in_batches(batch):
            features = _features(model, points, maps, data.to_input(images))
            for name, head in masked.items():
                answers = (features[head.point.name] @ kernels[name]).argmax(1)
                parts[name].append((answers == labels).cpu())
    return {name: torch.cat(part) for name, part in parts.items()}


def _masked_weights(name: str, head: MaskedHead) -> torch.Tensor:
    if head.mask is None:
        return head.weights
    return head.weights * masks_.expand(head.mask, head.weights.shape, name)


def _features(
    model: nn.Module, points: Mapping[str, heads.HeadPoint], maps: dict[str, torch.Tensor], images: torch.Tensor
) -> dict[str, torch.Tensor]:
    """What the heads at each point see of the images, float32 `[images, filters * positions]` by the point's name."""
    with training.autocast(images.device):
        model(images.contiguous(memory_format=torch.channels_last))
    return {name: point.features(maps).float() for name, point in points.items()}
