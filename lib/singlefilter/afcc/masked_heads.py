"""Masked heads on the frozen trunk: all of them retrained, or tested, from one pass over the images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from singlefilter import data, profiles
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
    weights = nn.ParameterDict({name: nn.Parameter(head.weights.to(on).clone()) for name, head in masked.items()})
    masks = {name: head.mask for name, head in masked.items() if head.mask is not None}
    points = {head.point.name: head.point for head in masked.values()}

    with _features(model, points, train) as features_of:

        def batches(epoch: int) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
            for images, labels in training.augmented(train, recipe, seed)(epoch):
                yield features_of(images), labels

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
    points = {head.point.name: head.point for head in masked.values()}
    kernels = {name: _masked_weights(name, head).to(on).flatten(1).T for name, head in masked.items()}
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in masked}
    with _features(model, points, split) as features_of:
        for images, labels in split.in_batches(batch):
            features = features_of(data.to_input(images))
            for name, head in masked.items():
                answers = (features[head.point.name] @ kernels[name]).argmax(1)
                parts[name].append((answers == labels).cpu())
    return {name: torch.cat(part) for name, part in parts.items()}


def _masked_weights(name: str, head: MaskedHead) -> torch.Tensor:
    if head.mask is None:
        return head.weights
    return head.weights * masks_.expand(head.mask, head.weights.shape, name)


@contextmanager
def _features(
    model: nn.Module, points: Mapping[str, heads.HeadPoint], split: data.Split
) -> Iterator[Callable[[torch.Tensor], dict[str, torch.Tensor]]]:
    """What gives what the heads at each point see of images, float32 `[images, filters * positions]` by its name."""
    few = data.to_input(split.first(heads.FEW))
    with heads.frozen_trunk(model, list(points.values()), few) as trunk:

        def features_of(images: torch.Tensor) -> dict[str, torch.Tensor]:
            with training.autocast(images.device):
                seen = trunk(images)
            return {name: feature.float() for name, feature in zip(points, seen, strict=True)}

        yield features_of
