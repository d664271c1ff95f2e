"""Benchmark of `analyze`: a network of torchvision's with given heads, its time in forward passes and its memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torchvision
from benchmarks.cases import Sizes
from benchmarks.table import OURS, absolute, compare
from benchmarks.timing import Way, in_new_process, in_turn, peak_above_start
from benchmarks.ways import ROUNDING, difference
from torch import nn

import singlefilter as sf
from singlefilter import data

CUTS = ("layer1", "layer2", "layer3", "layer4")
SIDE = 64  # pixels
DEAREST = 1.10  # forward passes
MOST_MB = 400  # above the images


@dataclass(frozen=True)
class Case:
    """A network, images uint8 `[images, 3, height, width]` with labels, and heads by cut."""

    model: nn.Module
    images: torch.Tensor
    labels: torch.Tensor
    heads: dict[str, torch.Tensor]

    def analyze(self) -> sf.analysis.Result:
        """The result of one call."""
        labels = len(next(iter(self.heads.values())))
        options = {"at": CUTS, "heads": self.heads, "labels": labels, "progress": False}
        return sf.analyze(self.model, (self.images, self.labels), **options)


def case_of(labels: int, images: int) -> Case:
    """resnet18 as it is made, random images, as many of each label as fit, and heads as they begin."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = torchvision.models.resnet18(num_classes=labels).eval()
        pixels = torch.randint(0, 256, (max(1, images // labels) * labels, 3, SIDE, SIDE), dtype=torch.uint8)
        sizes = {cut: (64 * 2**number, (SIDE // 4 // 2**number) ** 2) for number, cut in enumerate(CUTS)}
        heads = {cut: torch.randn(labels, *size) / size[0] for cut, size in sizes.items()}
    return Case(model, pixels, torch.arange(len(pixels)) % labels, heads)


def analyze(sizes: Sizes) -> list[dict]:
    """`analyze` with given heads against plain forward passes of the same images, and its memory above them.

    Behind the last cut resnet18 averages the map, so its class means turn into the mean logits of the plain passes.
    """
    case = case_of(sizes.labels, sizes.analyzed_images)

    def ours() -> torch.Tensor:
        means = torch.from_numpy(case.analyze()["layer4"].means)  # [true_label, filters, positions]
        return case.model.fc(means.mean(2))

    def plain() -> torch.Tensor:
        sums = torch.zeros(sizes.labels, sizes.labels)
        for images, truth in zip(case.images.split(sizes.batch), case.labels.split(sizes.batch), strict=True):
            sums.index_add_(0, truth, case.model(data.to_input(images)))
        return sums / torch.bincount(case.labels)[:, None]

    with torch.no_grad():
        timed = in_turn([Way(OURS, ours), Way("forward pass", plain)], sizes.rounds_of_naive)
    agreement = {"forward pass": difference(timed[OURS].result, timed["forward pass"].result)}
    about = {"images": len(case.images), "labels": sizes.labels}
    rows = compare(
        "analyze", f"resnet18, {len(CUTS)} cuts, heads given", timed, agreement, ROUNDING,
        {"forward pass": 1 / DEAREST}, filters=sum(head.shape[1] for head in case.heads.values()), **about,
        note=f"images of {SIDE} pixels; target: at most {DEAREST:.2f} of a forward pass",
    )  # fmt: skip
    held, peak = in_new_process(_memory, sizes)
    return [
        *rows,
        absolute(
            "analyze", f"resnet18, {len(CUTS)} cuts, memory", OURS, peak_mb=held + peak, target_mb=held + MOST_MB,
            **about, note=f"of it the images {held:.0f} MB, {MOST_MB} MB more allowed",
        ),
    ]  # fmt: skip


def _memory(sizes: Sizes) -> tuple[float, float]:
    case_of(sizes.labels, sizes.labels).analyze()  # what torch loads on first use
    case = case_of(sizes.labels, sizes.analyzed_images)
    peak, _ = peak_above_start(case.analyze)
    return case.images.nbytes / 1e6, peak
