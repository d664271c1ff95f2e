"""A small network, images that it can learn, and a recipe."""

import torch
from torch import nn

from singlefilter import data, profiles

RECIPE = profiles.Recipe(epochs=3, batch=12, learning_rate=0.05, momentum=0.9, schedule="cosine", shift=1)


def split(per_label: int = 10, labels: int = 4, seed: int = 0) -> data.Split:
    """Images that can be told apart: each label lights one corner, under noise."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 120, (labels * per_label, 3, 8, 8), dtype=torch.uint8, generator=generator)
    for label in range(labels):
        down, right = divmod(label, 2)
        images[label * per_label : (label + 1) * per_label, :, down * 4 :, right * 4 :][:, :, :4, :4] += 100
    return data.Split(images, torch.arange(labels).repeat_interleave(per_label), tuple("abcd"[:labels]))


def network(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(96, 4),
        )


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    """Bit for bit, batch norm statistics included."""
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
