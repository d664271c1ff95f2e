"""What others would use: captum's feature ablation, and the training loop of most tutorials."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from singlefilter import data, profiles
from singlefilter.method import heads
from singlefilter.networks import training

NORMALISE = (transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3))


class Pictures(Dataset):
    """Images as torchvision's own data sets give them: a PIL image at a time, through a transform."""

    def __init__(self, split: data.Split, transform):
        self.images = split.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = split.labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def inputs(split: data.Split) -> torch.Tensor:
    """Un-augmented images as this loop feeds them to the network, `[images, 3, height, width]`."""
    plain = Pictures(split, transforms.Compose(NORMALISE))
    return torch.stack([plain[index][0] for index in range(len(plain))])


def train_epoch(model: nn.Module, train: data.Split, recipe: profiles.Recipe, workers: int) -> float:
    """An epoch of DataLoader, PIL transforms, forward, backward, step; the mean loss."""
    side = train.images.shape[-1]
    augmented = transforms.Compose(
        [transforms.RandomCrop(side, recipe.shift), transforms.RandomHorizontalFlip(), *NORMALISE]
    )
    on = training.device()
    loader = DataLoader(Pictures(train, augmented), recipe.batch, shuffle=True, num_workers=workers)
    model.to(on).train()
    steps = torch.optim.SGD(
        model.parameters(), recipe.learning_rate, recipe.momentum, 0, recipe.weight_decay, nesterov=True
    )
    total = 0.0
    for images, labels in loader:
        loss = functional.cross_entropy(model(images.to(on)), labels.to(on))
        steps.zero_grad()
        loss.backward()
        steps.step()
        total += loss.item() * len(labels)
    return total / len(train)


def captum_fields(
    trunk: nn.Sequential, point: heads.HeadPoint, weights: torch.Tensor, split: data.Split, target: int
) -> np.ndarray:
    """Fields of every filter on one output, `[filters, true_label]`, by captum: each channel ablated in turn.

    The head is linear, so what the logit loses with a channel is that filter's field.  Raises `ImportError` where
    captum is not installed.
    """
    from captum.attr import LayerFeatureAblation

    layers = trunk[: point.cut.layer].eval()
    network = nn.Sequential(layers, nn.Flatten(), nn.Linear(point.fan_in, len(weights), bias=False))
    network[2].weight.data = weights.flatten(1)
    channels = torch.arange(point.cut.filters)[None, :, None, None].expand(1, -1, *point.size)
    lost = LayerFeatureAblation(network, layers).attribute(
        data.to_input(split.images), target=target, layer_mask=channels
    )
    fields = lost[:, :, 0, 0]  # the same at every position of a channel
    sums = torch.zeros(len(split.names), point.cut.filters).index_add_(0, split.labels, fields)
    return (sums / torch.bincount(split.labels, minlength=len(split.names))[:, None]).T.numpy()
