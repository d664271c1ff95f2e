"""Right answers of networks, image by image, so that what is compared can be compared on the same images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from singlefilter import data
from singlefilter.method import statistics
from singlefilter.networks import training

BEFORE, AFTER = "before", "after"  # retraining


@torch.no_grad()
def right_answers(
    networks: Mapping[str, nn.Module], split: data.Split, front: nn.Module | None = None, batch: int = 500
) -> dict[str, torch.Tensor]:
    """Whether each network is right: bool `[images]` on the CPU by its name, un-augmented; all are put in eval mode.

    front: what all of them read the images through, None where they take images themselves.
    """
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in networks}
    for network in (*networks.values(), *([front] if front is not None else [])):
        network.to(split.device, memory_format=torch.channels_last).eval()
    for images, labels in split.in_batches(batch):
        with training.autocast(split.device):
            maps = data.to_input(images).contiguous(memory_format=torch.channels_last)
            maps = maps if front is None else front(maps)
            for name, network in networks.items():
                parts[name].append((network(maps).argmax(1) == labels).cpu())
    return {name: torch.cat(part) for name, part in parts.items()}


def write(work: Path, rows: list[dict], answers: list[torch.Tensor]) -> None:
    """Write observations and, for each, its right answers, bool `[images]`."""
    pd.DataFrame(rows).to_csv(work / "observations.csv", index=False)
    save_file({str(number): each.contiguous() for number, each in enumerate(answers)}, work / "answers.safetensors")


def read(folder: Path) -> tuple[pd.DataFrame, list[torch.Tensor]]:
    """What `write` wrote, with columns accuracy, low and high (Wilson), correct and images added."""
    table = pd.read_csv(folder / "observations.csv", keep_default_na=False, na_values=[""])
    stored = load_file(folder / "answers.safetensors")
    answers = [stored[str(number)] for number in range(len(table))]
    images = [len(each) for each in answers]
    correct = [int(each.sum()) for each in answers]
    accuracy, low, high = statistics.proportion_interval(correct, images)
    return table.assign(accuracy=accuracy, low=low, high=high, correct=correct, images=images), answers
