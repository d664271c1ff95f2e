"""Benchmarks of what follows a measurement: clusters, bootstrap and null models."""

from __future__ import annotations

import numpy as np
from benchmarks import cases, naive
from benchmarks.cases import Sizes
from benchmarks.table import OURS, absolute, compare
from benchmarks.timing import Way, in_new_process, in_turn, peak_above_start
from benchmarks.ways import NAIVE, difference

from singlefilter.method import clusters, nulls, statistics


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
        agreement = max(difference(one, other) for one, other in pairs)
        rows += compare("clusters", name, timed, {NAIVE: agreement}, 0, {NAIVE: 50}, **shape)

    shape, rng = (sizes.filters, sizes.labels, sizes.labels), np.random.default_rng(0)
    for name, clipped in {"all ones": np.ones(shape, bool), "half ones": rng.random(shape) < 0.5}.items():
        few = clipped[: sizes.sampled_filters]
        ways = [
            Way(OURS, lambda clipped=clipped: clusters.find(clipped)),
            Way(NAIVE, lambda few=few: naive.clusters(few), share=len(few) / len(clipped)),
        ]
        timed = in_turn(ways, sizes.rounds)
        agreement = {NAIVE: difference(timed[OURS].result[: len(few)], timed[NAIVE].result)}
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


def bootstrap(sizes: Sizes) -> list[dict]:
    """Resampled sums over the filters of a layer: one product with a matrix of weights against a loop."""
    columns = np.random.default_rng(0).integers(0, 50, (sizes.filters, 7)).astype(np.float64)
    few = max(1, sizes.resamples // 20)
    ways = [
        Way(OURS, lambda: statistics.resampled_sums(columns, sizes.resamples, np.random.default_rng(1))),
        Way(NAIVE, lambda: naive.bootstrap(columns, few, 1), share=few / sizes.resamples),
    ]
    timed = in_turn(ways, sizes.rounds)
    agreement = {NAIVE: difference(timed[OURS].result[:few], timed[NAIVE].result)}
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
    agreement = {NAIVE: difference(ones(timed[OURS].result), ones(timed[NAIVE].result))}
    return compare(
        "null", "random matrices", timed, agreement, 0, {}, filters=sizes.filters, labels=sizes.labels,
        note="agreement of the numbers of ones on and off the diagonal; which places they take is random",
    )  # fmt: skip
