"""Benchmarks of measuring: one pass over the images for all cuts, its memory, and captum's way."""

from __future__ import annotations

import numpy as np
import torch
from benchmarks import naive, peers
from benchmarks.cases import Sizes, setting
from benchmarks.table import OURS, absolute, compare
from benchmarks.timing import Way, in_new_process, in_turn, peak_above_start
from benchmarks.ways import NAIVE, PEER, ROUNDING, difference

from singlefilter import data
from singlefilter.method import fields
from singlefilter.networks import training


def forward(sizes: Sizes) -> list[dict]:
    """Measuring every head of all cuts against a plain forward pass of the same images in the same batches.

    The classifier is linear, so it turns the class means of the last cut into the mean logits of the plain pass.
    """
    case = setting(sizes.width, sizes.labels, sizes.images)
    deepest = next(point for point in reversed(case.points) if point.kind == "flat")

    def ours() -> torch.Tensor:
        measured = fields.measure(case.model, case.points, case.weights, case.split, sizes.batch)
        return case.model.classifier(measured.class_means[deepest.name].flatten(1).to(case.split.images.device))

    def plain() -> torch.Tensor:
        logits = []
        for start in range(0, len(case.split), sizes.batch):
            images = data.to_input(case.split.images[start : start + sizes.batch])
            with training.autocast(images.device):
                logits.append(case.model(images.contiguous(memory_format=torch.channels_last)))
        return torch.stack([rows.mean(0) for rows in torch.cat(logits).view(sizes.labels, -1, sizes.labels)])

    with torch.no_grad():
        timed = in_turn([Way(OURS, ours), Way("forward pass", plain)], sizes.rounds)
    agreement = {"forward pass": difference(timed[OURS].result, timed["forward pass"].result)}
    return compare(
        "forward", "13 cuts, both kinds of heads", timed, agreement, ROUNDING, {"forward pass": 1 / 1.10},
        images=len(case.split), filters=case.filters, labels=sizes.labels,
        note="target: measuring costs at most 1.10 of a forward pass",
    )  # fmt: skip


def measure(sizes: Sizes) -> list[dict]:
    """Field matrices, accuracy and d' of 13 cuts: one pass over the images against a pass for each cut."""
    case = setting(sizes.width, sizes.labels, sizes.images_of_naive, ("flat",))

    def ours() -> dict[str, torch.Tensor]:
        measured = fields.measure(case.model, case.points, case.weights, case.split, sizes.batch)
        weights = {name: weight.cpu() for name, weight in case.weights.items()}
        return {name: fields.field_matrices(means, weights[name]) for name, means in measured.class_means.items()}

    def one_by_one() -> dict[str, torch.Tensor]:
        found = naive.measure(case.model.features, case.points, case.weights, case.split, sizes.batch)
        return {name: parts["matrices"] for name, parts in found.items()}

    timed = in_turn([Way(OURS, ours), Way(NAIVE, one_by_one)], sizes.rounds_of_naive)
    agreement = max(difference(*(timed[way].result[p.name] for way in (OURS, NAIVE))) for p in case.points)
    return compare(
        "measure", "13 cuts, flat heads", timed, {NAIVE: agreement}, ROUNDING, {NAIVE: 5},
        images=len(case.split), filters=case.filters, labels=sizes.labels, note="naive: one pass for each cut",
    )  # fmt: skip


def memory(sizes: Sizes) -> list[dict]:
    """Memory of measuring, above what images, network and heads take."""
    held, peak = in_new_process(_memory_of_measuring, sizes)
    return [
        absolute(
            "memory", "measuring 13 cuts, both kinds", OURS, peak_mb=held + peak, target_mb=held + 300,
            images=sizes.images, labels=sizes.labels, note=f"of it the images {held:.0f} MB, 300 MB more allowed",
        )
    ]  # fmt: skip


def _memory_of_measuring(sizes: Sizes) -> tuple[float, float]:
    case = setting(sizes.width, sizes.labels, sizes.images)
    few = setting(sizes.width, sizes.labels, sizes.labels)
    fields.measure(few.model, few.points, few.weights, few.split, sizes.batch)  # what torch loads on first use
    peak, _ = peak_above_start(lambda: fields.measure(case.model, case.points, case.weights, case.split, sizes.batch))
    return case.split.images.nbytes / 1e6, peak


def captum(sizes: Sizes) -> list[dict]:
    """Fields of every filter at one cut for every output: captum ablates each channel for each output in turn.

    Its cost is (filters + 1) passes for each output; one output of few images is timed and scaled to all.
    """
    try:
        import captum  # noqa: F401
    except ImportError:
        print("captum is not installed, so its row is left out: pip install 'singlefilter[bench]'", flush=True)
        return []
    case = setting(sizes.width, sizes.labels, 2 * sizes.labels, ("flat",))
    point = case.points[3]
    on = case.split.images.device
    own = (case.model, [point], case.weights, case.split, sizes.batch)

    def ours() -> torch.Tensor:
        means = fields.measure(*own).class_means[point.name]
        return fields.field_matrices(means, case.weights[point.name].cpu())

    def ablated() -> np.ndarray:
        return peers.captum_fields(case.model.features, point, case.weights[point.name], case.split, target=0)

    if on.type != "cpu":
        print("captum is compared on a CPU; its row is left out here", flush=True)
        return []
    timed = in_turn([Way(OURS, ours), Way(PEER, ablated, share=1 / sizes.labels)], sizes.rounds_of_naive)
    agreement = {PEER: difference(timed[OURS].result[:, :, 0], timed[PEER].result)}
    return compare(
        "captum", f"fields of {point.cut.name}", timed, agreement, ROUNDING, {}, images=len(case.split),
        filters=point.cut.filters, labels=sizes.labels,
        note="peer: LayerFeatureAblation by channel, one output timed, scaled by its (filters + 1) passes an output",
    )  # fmt: skip
