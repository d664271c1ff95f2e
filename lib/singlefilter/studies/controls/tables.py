"""Controls of the clusters: does what is counted hang on the threshold, the order of labels, the images or the seed?

One table a control, one row an observation, all from the flat heads. Field matrices are those of training images
unless the table compares splits. Whether clusters are more than chance: `studies.chance`. Source: section 9 of
the method.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
import torch

from singlefilter.method import clusters, fields, heads, statistics
from singlefilter.pipeline import stages
from singlefilter.studies.layers import claims, tables

ENDS = ("", "_low", "_high")
COUNTED = ("N_c", "C_s", "n", "S", "X_internal", "X_external", "snr")

Variants = Callable[[torch.Tensor, np.random.Generator], Iterable[torch.Tensor]]


def with_seed(run: stages.Run, seed: int) -> stages.Run:
    """The same run from another seed: other initial weights, another order of images, other glyphs."""
    return dataclasses.replace(run, profile=dataclasses.replace(run.profile, seed=seed))


def thresholds(run: stages.Run, at: Sequence[float] | None = None) -> pd.DataFrame:
    """The statistics of every layer at every threshold, each with its interval, and whether the trends hold there.

    `at`: thresholds between 0 and 1, by default those of the profile. `tau_snr` and `tau_n`: Kendall's tau of the
    layer and SNR, and noise per filter, with the interval of claims C2 and C3, the same in all rows of a threshold;
    `used`: 1 at the threshold that the rest of the profile uses. Raises `ValueError` for a threshold that is not
    between 0 and 1. Source: sections 4, 6 and 9.
    """
    at = run.profile.controls.thresholds if at is None else at
    labels, settings = labels_of(run), resampling(run)
    every = count_variants(run, lambda matrices, _: (clusters.clip(matrices, one) for one in at))
    rows = []
    for number, threshold in enumerate(at):
        counts = {layer: variants[number] for layer, variants in every.items()}
        trends = {"snr": claims.claim_c2(counts, labels, *settings), "n": claims.claim_c3(counts, labels, *settings)}
        taus = {
            f"tau_{name}{end}": value
            for name, claim in trends.items()
            for end, value in zip(ENDS, (claim.value, claim.low, claim.high), strict=True)
        }
        for point in stages.flat_points(run):
            layer = statistics.layer_statistics(counts[point.cut.layer], labels, *settings)
            row = place(point) | {"threshold": threshold, "used": int(threshold == run.profile.analysis.threshold)}
            row |= {f"{name}{end}": layer[f"{name}{end}"] for name in COUNTED for end in ENDS}
            rows.append(row | taus | {"filters": layer["filters"]})
    return pd.DataFrame(rows)


def label_orders(run: stages.Run, orders: int | None = None) -> pd.DataFrame:
    """What becomes of the clusters of every layer when labels are taken in another order; a row a layer and quantity.

    `orders`: how many random orders, by default those of the profile; the same ones for all layers. `quantity`: N_c,
    C_s or n; `ascending`: its value by the rule; `mean`, `sd`, `min`, `max` over the random orders;
    `relative_change`: mean / ascending - 1; `changed`: share of filters whose own value (for C_s, their mean size) is
    another than in ascending order, the mean over orders, its interval from a bootstrap over filters. Covered labels
    and SNR do not depend on the order. Raises `ValueError` for less than one order. Source: sections 5 and 9.
    """
    orders = run.profile.controls.orders if orders is None else orders
    if orders < 1:
        raise ValueError(f"orders is {orders}; how much the order matters takes at least 1, and some tens to tell")
    rng = np.random.default_rng(run.profile.seed)
    labels = labels_of(run)
    chosen = [torch.arange(labels), *(torch.from_numpy(rng.permutation(labels)) for _ in range(orders))]

    def reordered(matrices: torch.Tensor, _: np.random.Generator) -> Iterable[torch.Tensor]:
        clipped = clusters.clip(matrices, run.profile.analysis.threshold)
        return (clipped[:, order][:, :, order] for order in chosen)

    rows = []
    for point, counted in zip(stages.flat_points(run), count_variants(run, reordered).values(), strict=True):
        number, covered, noise = (
            np.stack([table[column].to_numpy(float) for table in counted])
            for column in ("clusters", "covered", "noise")
        )  # [order, filter], ascending order first
        with np.errstate(invalid="ignore"):
            sizes = covered.sum(1) / number.sum(1)
        for quantity, values, own in (
            ("N_c", number.mean(1), number),
            ("C_s", sizes, number),  # covered labels stay, so the mean size changes with the number
            ("n", noise.mean(1), noise),
        ):
            ascending, random = values[0], values[1:]
            row = {"quantity": quantity, "ascending": ascending, "mean": random.mean(), "sd": random.std()}
            row |= {"min": random.min(), "max": random.max()}
            row["relative_change"] = random.mean() / ascending - 1 if ascending else np.nan
            changed = statistics.mean_interval((own[1:] != own[0]).mean(0), *resampling(run))
            row |= {f"changed{end}": float(value) for end, value in zip(ENDS, changed, strict=True)}
            rows.append(place(point) | row | {"filters": number.shape[1], "orders": orders})
    return pd.DataFrame(rows)


def seeds(run: stages.Run, training_seeds: Sequence[int] | None = None) -> pd.DataFrame:
    """Accuracy of the flat head and statistics of every layer, on both splits, for every training seed.

    `training_seeds`: by default those of the profile; a seed whose stages are not done is trained now. Source:
    section 9.
    """
    rows = []
    for seed in run.profile.controls.seeds if training_seeds is None else training_seeds:
        one = with_seed(run, seed)
        counted = tables.statistics_by_layer(one).set_index(["layer", "split"])
        for split in one.profile.analysis.splits:
            correct = stages.measurement(one, split).correct
            for point in stages.flat_points(one):
                answers, layer = correct[point.name], counted.loc[(point.cut.layer, split)]
                interval = statistics.proportion_interval(int(answers.sum()), len(answers))
                row = place(point) | {"split": split, "training_seed": seed}
                row |= {f"accuracy{end}": float(value) for end, value in zip(ENDS, interval, strict=True)}
                names = ("N_c", "C_s", "n", "snr", "dprime")
                row |= {f"{name}{end}": layer[f"{name}{end}"] for name in names for end in ENDS}
                rows.append(row | {"filters": layer["filters"], "images": len(answers)})
    return pd.DataFrame(rows)


def splits(run: stages.Run) -> pd.DataFrame:
    """Do filters say of new images what they say of those they were trained on? One row a layer.

    `jaccard`: labels that a filter covers on images of both splits over those it covers on either, the mean over
    filters that cover any; `chance`: what the numbers of labels alone make one expect, were they drawn at random;
    `kept`: of the labels covered on training images, the share covered on test images too. `<quantity>_ratio`: the
    quantity on test images over the same on training images, for the noise, internal and external, the clusters, SNR
    and d'. Intervals by a bootstrap over filters, the same for both splits; for d' over images, each split on its
    own. Source: sections 6 and 9.
    """
    labels, (resamples, seed) = labels_of(run), resampling(run)
    both = [stages.measurement(run, split) for split in ("train", "test")]
    counts = [tables.counts(run, split) for split in ("train", "test")]
    covered = [_covered(run, split) for split in ("train", "test")]
    rows = []
    for point in stages.flat_points(run):
        layer = point.cut.layer
        train, test = (of[layer] for of in covered)
        common, expected = (train & test).sum(1), train.sum(1) * test.sum(1) / labels
        with np.errstate(invalid="ignore"):
            either = train.sum(1) + test.sum(1) - np.stack([common, expected])
            overlap = (np.stack([common, expected]) / either).T
        intervals = np.stack(statistics.mean_interval(overlap, resamples, seed))  # [end, jaccard and chance]
        row = {f"jaccard{end}": value for end, value in zip(ENDS, intervals[:, 0], strict=True)}
        row |= {f"chance{end}": value for end, value in zip(ENDS, intervals[:, 1], strict=True)}
        columns = np.column_stack([common, train.sum(1)]).astype(float)
        drawn = statistics.resampled_sums(columns, resamples, np.random.default_rng(seed))
        row |= with_interval("kept", ratio(*columns.sum(0)), ratio(*drawn.T))
        # The same generator draws the same filters for both splits.
        (old, old_drawn), (new, new_drawn) = (
            statistics.resampled_quantities(of[layer], labels, resamples, np.random.default_rng(seed))
            for of in counts
        )
        for name in COUNTED:
            row |= with_interval(
                f"{name}_ratio", ratio(new[name], old[name]), ratio(new_drawn[name], old_drawn[name])
            )
        dprime = [_means(of.dprime[point.name].numpy(), resamples, seed + k) for k, of in enumerate(both)]
        row |= with_interval("dprime_ratio", ratio(dprime[1][0], dprime[0][0]), ratio(dprime[1][1], dprime[0][1]))
        compared = int((train | test).any(1).sum())
        rows.append(place(point) | row | {"filters": len(train), "filters_compared": compared})
    return pd.DataFrame(rows)


def count_variants(run: stages.Run, variants: Variants) -> dict[int, list[pd.DataFrame]]:
    """Counts of all filters by layer, one table (of `statistics.count_filters`) for each variant of them.

    `variants`: makes of field matrices `[filters, true_label, out_label]`, float32, of training images, and of a
    generator of random numbers, any number of clipped ones, bool of the same shape. Columns beside the usual
    ones: `shared`, labels in clusters of at least two; `largest`, labels in the largest cluster. Source: sections 5
    and 6.
    """
    means, weights = stages.measurement(run).class_means, stages.heads(run)[0]
    by_layer = {}
    for point in stages.flat_points(run):
        rng = np.random.default_rng((run.profile.seed, point.cut.layer))
        parts = [
            [_count(clipped) for clipped in variants(matrices, rng)]
            for _, matrices in fields.chunks(means[point.name], weights[point.name])
        ]
        by_layer[point.cut.layer] = [pd.concat(one, ignore_index=True) for one in zip(*parts, strict=True)]
    return by_layer


def _count(clipped: torch.Tensor) -> pd.DataFrame:
    found = clusters.find(clipped)
    every = statistics.cluster_sizes(found)
    filters, sizes = every["filter"].to_numpy(), every["size"].to_numpy()
    largest = np.zeros(len(clipped), int)
    np.maximum.at(largest, filters, sizes)
    shared = np.bincount(filters, np.where(sizes > 1, sizes, 0), minlength=len(clipped)).astype(int)
    return statistics.count_filters(clipped, found).assign(shared=shared, largest=largest)


def _covered(run: stages.Run, split: str) -> dict[int, np.ndarray]:
    """By layer, which labels each filter covers: bool `[filters, label]`, the diagonals of the clipped matrices."""
    means, weights = stages.measurement(run, split).class_means, stages.heads(run)[0]
    return {
        point.cut.layer: np.concatenate(
            [
                clusters.clip(matrices, run.profile.analysis.threshold).diagonal(0, 1, 2).numpy()
                for _, matrices in fields.chunks(means[point.name], weights[point.name])
            ]
        )
        for point in stages.flat_points(run)
    }


def _means(values: np.ndarray, resamples: int, seed: int) -> tuple[float, np.ndarray]:
    """Mean of what is known of `values[images]`, and of each resample of the images."""
    known = values[~np.isnan(values)].astype(np.float64)
    if len(known) == 0:
        return np.nan, np.full(resamples, np.nan)
    sums = statistics.resampled_sums(known[:, None], resamples, np.random.default_rng(seed))
    return float(known.mean()), sums[:, 0] / len(known)


def with_interval(name: str, value: float, resampled: np.ndarray) -> dict[str, float]:
    """A quantity and its percentile interval as columns; NaN has a NaN interval."""
    low, high = (np.nan, np.nan) if np.isnan(value) else statistics.percentile_interval(resampled)
    return {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}


def ratio(above: np.ndarray | float, below: np.ndarray | float) -> np.ndarray:
    """above / below of what is not negative: infinite where only `below` is 0, NaN where both are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(above, below)


def place(point: heads.HeadPoint) -> dict[str, object]:
    """The columns that say where a row belongs."""
    return {"cut": point.cut.name, "layer": point.cut.layer}


def labels_of(run: stages.Run) -> int:
    """K, the number of labels."""
    return len(stages.splits(run)["train"].names)


def resampling(run: stages.Run) -> tuple[int, int]:
    """Resamples and seed of every interval."""
    return run.profile.analysis.resamples, run.profile.seed
