"""EfficientNet-B0, by torchvision."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn


def efficientnet_b0(labels: int, weights: str | None) -> nn.Module:
    """EfficientNet-B0 with so many outputs; with `weights`, those of ImageNet, downloaded where they are not there.

    Raises `OSError`, which says where to put the file, when they cannot be had.
    """
    import torchvision

    ready = torchvision.models.EfficientNet_B0_Weights.IMAGENET1K_V1 if weights else None
    try:
        model = torchvision.models.efficientnet_b0(weights=ready)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:  # no network, or a damaged file
        if ready is None:
            raise
        file = Path(torch.hub.get_dir()) / "checkpoints" / Path(ready.url).name
        raise OSError(
            f"ImageNet weights of EfficientNet-B0 could not be downloaded to {file}, or read from there ({error}): "
            f"put there what is at {ready.url}, or leave network.weights out to train from scratch"
        ) from error
    if labels != model.classifier[1].out_features:
        model.classifier[1] = nn.Linear(model.classifier[1].in_features, labels)
    return model
