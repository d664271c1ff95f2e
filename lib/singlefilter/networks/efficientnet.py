"""EfficientNet-B0, by torchvision."""

from __future__ import annotations

from torch import nn

from singlefilter.networks import ready


def efficientnet_b0(labels: int, weights: str | None) -> nn.Module:
    """EfficientNet-B0 with so many outputs; with `weights`, those of ImageNet, downloaded where they are not there.

    Raises `ready.WeightsError`, which says where to put the file, when they cannot be had.
    """
    import torchvision

    model = torchvision.models.efficientnet_b0(weights=None)
    if weights:
        model.load_state_dict(ready.imagenet(torchvision.models.EfficientNet_B0_Weights.IMAGENET1K_V1.url))
    if labels != model.classifier[1].out_features:
        model.classifier[1] = nn.Linear(model.classifier[1].in_features, labels)
    return model
