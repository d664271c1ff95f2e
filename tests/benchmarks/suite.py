"""The benchmarks by name: each makes its cases, times the ways in turn, and says how far their results agree."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable

import numpy as np
import torch
from benchmarks import cases, machine, naive, peers
from benchmarks.cases import Sizes, setting
from benchmarks.table import OURS, absolute, compare
from benchmarks.timing import Way, in_new_process, in_turn, peak_above_start, quietly

from singlefilter import data, profiles
from singlefilter.method import clusters, fields, heads, nulls, statistics
from singlefilter.networks import training

NAIVE, PEER = "naive", "peer"
ROUNDING = 1e-4  # of float32 sums, relative to the largest element


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
    agreement = {"forward pass": _difference(timed[OURS].result, timed["forward pass"].result)}
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
    agreement = max(_difference(*(timed[way].result[p.name] for way in (OURS, NAIVE))) for p in case.points)
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


def find(sizes: Sizes) -> list[dict]:
    """Clusters: of a real network, of matrices full of ones, and of a layer as large as they come."""
    layers, about = cases.network_fields(sizes)
    clipped_layers = [clusters.clip(layer) for layer in layers]
    shape = {"filters": sum(map(len, layers)), "labels": layers[0].shape[1], "note": about}
    ways = {
        "clip, clusters, noise of every filter": (layers, _count, naive.count),
        "clusters alone of every filter": (clipped_layers, clusters.find, naive.clusters),
    }
    rows = []
    for name, (matrices, fast, slow) in ways.items():
        timed = in_turn(
            [
                Way(OURS, lambda of=fast, each=matrices: [of(layer) for layer in each]),
                Way(
                    NAIVE,
                    lambda of=slow, each=matrices: [of(layer) for layer in each],
                    warm_up=lambda of=slow, each=matrices: of(each[0][:1]),
                ),
            ],
            sizes.rounds_of_naive,
        )
        pairs = zip(timed[OURS].result, timed[NAIVE].result, strict=True)
        agreement = max(_difference(one, other) for one, other in pairs)
        rows += compare("clusters", name, timed, {NAIVE: agreement}, 0, {NAIVE: 50}, **shape)

    shape, rng = (sizes.filters, sizes.labels, sizes.labels), np.random.default_rng(0)
    for name, clipped in {"all ones": np.ones(shape, bool), "half ones": rng.random(shape) < 0.5}.items():
        few = clipped[: sizes.sampled_filters]
        ways = [
            Way(OURS, lambda clipped=clipped: clusters.find(clipped)),
            Way(NAIVE, lambda few=few: naive.clusters(few), share=len(few) / len(clipped)),
        ]
        timed = in_turn(ways, sizes.rounds)
        agreement = {NAIVE: _difference(timed[OURS].result[: len(few)], timed[NAIVE].result)}
        rows += compare(
            "clusters", f"{sizes.filters} filters, {name}", timed, agreement, 0, {NAIVE: 1000},
            filters=sizes.filters, labels=sizes.labels, note=f"naive: {len(few)} filters, scaled",
        )  # fmt: skip

    like = cases.densities(clipped_layers[-1])
    seconds, low, high, held, peak = in_new_process(_large_layer, sizes, like)
    rows.append(
        absolute(
            "clusters", f"{sizes.many_filters} filters, K = {sizes.many_labels}", OURS, seconds=seconds, low=low,
            high=high, peak_mb=held + peak, target_seconds=10.0, target_mb=2000.0, filters=sizes.many_filters,
            labels=sizes.many_labels, note=f"of it {held:.0f} MB the matrices; densities of the last layer",
        )
    )  # fmt: skip
    return rows


def _count(layer: np.ndarray) -> np.ndarray:
    """Clusters, covered labels and noise, `[filters, 3]`, of field matrices."""
    clipped = clusters.clip(layer)
    return statistics.count_filters(clipped, clusters.find(clipped))[["clusters", "covered", "noise"]].to_numpy()


def _large_layer(sizes: Sizes, like: tuple[float, float, float]) -> tuple[float, ...]:
    clipped = cases.alike(sizes.many_filters, sizes.many_labels, like)
    peak, timed = peak_above_start(lambda: in_turn([Way(OURS, lambda: clusters.find(clipped))], 3)[OURS])
    return timed.seconds, timed.low, timed.high, clipped.nbytes / 1e6, peak


def train_heads(sizes: Sizes) -> list[dict]:
    """An epoch of the heads on 13 cuts: together from one pass of the trunk against one after the other."""
    case = setting(sizes.width, sizes.labels, sizes.images_of_naive, ("flat",))
    recipe = profiles.Heads(epochs=1, batch=min(100, len(case.split)), kinds=("flat",))
    ways = [
        Way(OURS, lambda: heads.fit(case.model, case.points, case.split, recipe, seed=1)[0]),
        Way(NAIVE, lambda: naive.heads_one_by_one(case.model.features, case.points, case.split, recipe, seed=1)),
    ]
    timed = in_turn(ways, sizes.rounds_of_naive)
    agreement = max(_difference(*(timed[way].result[p.name] for way in (OURS, NAIVE))) for p in case.points)
    return compare(
        "heads", "13 flat heads, one epoch", timed, {NAIVE: agreement}, 10 * ROUNDING, {NAIVE: 4},
        images=len(case.split), filters=case.filters, labels=sizes.labels, note="naive: one head at a time",
    )  # fmt: skip


def views(sizes: Sizes) -> list[dict]:
    """Four epochs of the heads with the trunk's outputs kept, against computing them anew in every epoch.

    The two agree where nothing is random: on whole batches of un-augmented images.
    """
    case = setting(sizes.width, sizes.labels, min(1000, sizes.images_of_naive))
    recipe = profiles.Heads(epochs=4, batch=min(100, len(case.split)))
    ways = [
        Way(name, lambda kept=kept: heads.fit(case.model, case.points, case.split,
                                              dataclasses.replace(recipe, views=kept), seed=1))
        for name, kept in ((OURS, 1), ("views off", 0))
    ]  # fmt: skip
    timed = in_turn(ways, sizes.rounds_of_naive)
    whole = dataclasses.replace(recipe, batch=len(case.split), shift=0, flip=False)
    kept, anew = (
        quietly(lambda number=number: heads.fit(case.model, case.points, case.split,
                                                dataclasses.replace(whole, views=number), seed=1)[0])
        for number in (1, 0)
    )  # fmt: skip
    agreement = {"views off": max(_difference(kept[point.name], anew[point.name]) for point in case.points)}
    kept_mb = heads.views_bytes(case.points, case.split, 1) / 1e6
    return compare(
        "views", "heads, 4 epochs, outputs kept", timed, agreement, 10 * ROUNDING, {}, images=len(case.split),
        filters=case.filters, labels=sizes.labels, note=f"one view of the trunk's outputs takes {kept_mb:.0f} MB",
    )  # fmt: skip


def train(sizes: Sizes) -> list[dict]:
    """An epoch of training against a DataLoader with PIL transforms: same network, batch and optimizer."""
    case = setting(sizes.width, sizes.labels, sizes.images)
    few = data.Split(case.split.images[::50], case.split.labels[::50], case.split.names)
    recipe = profiles.Recipe(epochs=1, batch=min(100, len(case.split)), learning_rate=0.01)
    workers = workers_for(2)

    def ours() -> None:
        training.fit(setting(sizes.width, sizes.labels, 1).model, case.split, few, recipe, seed=1)

    def loader() -> None:
        model = setting(sizes.width, sizes.labels, 1).model
        peers.train_epoch(model, case.split, recipe, workers)
        training.evaluate(model, few)

    small = dataclasses.replace(case.split, images=case.split.images[:100], labels=case.split.labels[:100])
    timed = in_turn([Way(OURS, ours), Way(PEER, loader)], sizes.rounds_of_naive)
    agreement = {PEER: _difference(data.to_input(small.images), peers.inputs(small))}
    return compare(
        "train", "one epoch, batch 100", timed, agreement, 1e-5, {PEER: 1.3}, images=len(case.split),
        labels=sizes.labels, note=f"peer: DataLoader, {workers} workers, PIL; agreement of un-augmented inputs",
    )  # fmt: skip


def workers_for(wanted: int) -> int:
    """So many workers of a DataLoader, or as many as there are cores, which is said."""
    cores = os.cpu_count() or 1
    if wanted > cores:
        print(f"{wanted} workers were asked for; there are {cores} cores, so {cores} are started", flush=True)
    return min(wanted, cores)


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
    agreement = {PEER: _difference(timed[OURS].result[:, :, 0], timed[PEER].result)}
    return compare(
        "captum", f"fields of {point.cut.name}", timed, agreement, ROUNDING, {}, images=len(case.split),
        filters=point.cut.filters, labels=sizes.labels,
        note="peer: LayerFeatureAblation by channel, one output timed, scaled by its (filters + 1) passes an output",
    )  # fmt: skip


def bootstrap(sizes: Sizes) -> list[dict]:
    """Resampled sums over the filters of a layer: one product with a matrix of weights against a loop."""
    columns = np.random.default_rng(0).integers(0, 50, (sizes.filters, 7)).astype(np.float64)
    few = max(1, sizes.resamples // 20)
    ways = [
        Way(OURS, lambda: statistics.resampled_sums(columns, sizes.resamples, np.random.default_rng(1))),
        Way(NAIVE, lambda: naive.bootstrap(columns, few, 1), share=few / sizes.resamples),
    ]
    timed = in_turn(ways, sizes.rounds)
    agreement = {NAIVE: _difference(timed[OURS].result[:few], timed[NAIVE].result)}
    return compare(
        "bootstrap", f"{sizes.resamples} resamples", timed, agreement, 1e-12, {}, filters=sizes.filters,
        note=f"naive: {few} resamples, scaled; the same draws",
    )  # fmt: skip


def null(sizes: Sizes) -> list[dict]:
    """Random matrices with each filter's own numbers of ones: all filters at once against one after the other."""
    clipped = np.random.default_rng(0).random((sizes.filters, sizes.labels, sizes.labels)) < 0.05

    def ones(matrices: np.ndarray) -> np.ndarray:
        return np.stack([matrices.diagonal(0, 1, 2).sum(1), matrices.sum((1, 2))])

    ways = [
        Way(OURS, lambda: nulls.random_matrices(clipped, seed=1)),
        Way(NAIVE, lambda: naive.random_matrices(clipped, seed=1)),
    ]
    timed = in_turn(ways, sizes.rounds)
    agreement = {NAIVE: _difference(ones(timed[OURS].result), ones(timed[NAIVE].result))}
    return compare(
        "null", "random matrices", timed, agreement, 0, {}, filters=sizes.filters, labels=sizes.labels,
        note="agreement of the numbers of ones on and off the diagonal; which places they take is random",
    )  # fmt: skip


BENCHMARKS: dict[str, Callable[[Sizes], list[dict]]] = {
    "forward": forward,
    "measure": measure,
    "memory": memory,
    "clusters": find,
    "heads": train_heads,
    "views": views,
    "train": train,
    "layout": machine.layout,
    "sweep": machine.sweep,
    "gpu": machine.gpu,
    "captum": captum,
    "bootstrap": bootstrap,
    "null": null,
}


def _difference(one, other) -> float:
    """Largest absolute difference, relative to the largest element of `other` where that is above 1."""
    one, other = (_numpy(array).astype(np.float64) for array in (one, other))
    if one.shape != other.shape:
        return math.inf
    return float(np.abs(one - other).max(initial=0) / max(1.0, np.abs(other).max(initial=0)))


def _numpy(array: np.ndarray | torch.Tensor) -> np.ndarray:
    return array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else array
