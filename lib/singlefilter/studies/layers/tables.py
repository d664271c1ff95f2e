"""The table behind every figure, made from what the stages of a run keep.

One row per observation; every table ends with where it comes from: profile, data, network, seed.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from singlefilter import data, drawing, networks
from singlefilter.method import clusters, fields, statistics
from singlefilter.pipeline import stages
from singlefilter.studies.layers import claims
from singlefilter.studies.layers.counting import counts

LARGEST_CLUSTERS, TYPICAL = "largest clusters", "typical"  # why a filter is shown
IMAGES = 8  # in a row of a picture
PHOTOGRAPHS = ("imagenet", "imagenet100")  # either stands for ImageNet in the picture
WHOLE, SHOWN = 200, 100  # labels of a field matrix that is shown whole, and of a larger one that are shown
CLUSTERS = 20  # of a filter, that are shown in images


def samples(run: stages.Run, seed: int = 0) -> pd.DataFrame:
    """Panels of the picture that goes with the paper: eight images of CIFAR-100, of ImageNet (of 100 of its labels
    where only these are there), and of the glyphs; and of the profile's own data set, where that is another.

    Data that are not there have one row that says how to get them, and no panel.
    """
    of_imagenet = next((name for name in PHOTOGRAPHS if data.find(name, run.data_dir)), PHOTOGRAPHS[0])
    rows, names = [], dict.fromkeys(("cifar100", of_imagenet, "glyphs", run.profile.data.name))
    for panel, name in zip("ABCD", names, strict=False):
        common = {"panel": panel, "title": data.title(name)}
        try:
            images = data.sample(name, IMAGES, seed, run.data_dir)
        except data.DataError as missing:
            empty = {"position": 0, "label": "", "source": "", "png": "", "note": str(missing)}
            rows.append(common | empty)
            continue
        for position, (label, file, image) in enumerate(images):
            shown = {"position": position, "label": label, "source": file, "png": drawing.encode_png(image)}
            rows.append(common | shown | {"note": ""})
    return pd.DataFrame(rows)


def curves(run: stages.Run) -> pd.DataFrame:
    """Training curves of the network: epoch, split, accuracy, loss, learning_rate, seconds."""
    return stages.curves(run)


def accuracy_by_layer(run: stages.Run) -> pd.DataFrame:
    """Accuracy on the test split of the head at every cut, flat and pooled, with Wilson's interval."""
    correct = stages.measurement(run, "test").correct
    labels = len(stages.splits(run)["test"].names)
    rows = []
    for point in stages.points(run):
        answers = correct[point.name]
        accuracy, low, high = map(float, statistics.proportion_interval(int(answers.sum()), len(answers)))
        row = _place(point.cut) | {"filters": point.cut.filters, "positions": point.positions, "head": point.kind}
        row |= {"accuracy": accuracy, "low": low, "high": high, "n": len(answers)}
        rows.append(row | {"fan_in": point.fan_in, "labels": labels})
    return pd.DataFrame(rows)


def at_chance(run: stages.Run) -> bool:
    """Whether the last flat head of a run answers no better than chance: the 95 % interval of its accuracy on test
    images reaches down to 1/K.  What is measured of such a network says nothing about learning."""
    right = stages.measurement(run, "test").correct[stages.flat_points(run)[-1].name]
    _, low, _ = statistics.proportion_interval(int(right.sum()), len(right))
    return bool(low <= 1 / len(stages.splits(run)["test"].names))


def statistics_by_layer(run: stages.Run) -> pd.DataFrame:
    """N_c, C_s, n, S, X, SNR and d' of every layer on every measured split, each with its interval."""
    rows = []
    for split in run.profile.analysis.splits:
        measured, labels = stages.measurement(run, split), len(stages.splits(run)[split].names)
        points = stages.flat_points(run)
        dprime = np.stack([measured.dprime[point.name].numpy() for point in points], axis=1)
        resamples, seed = run.profile.analysis.resamples, run.profile.seed
        intervals = np.stack(statistics.mean_interval(dprime, resamples, seed), axis=1)
        for point, interval in zip(points, intervals, strict=True):
            layer = statistics.layer_statistics(counts(run, split)[point.cut.layer], labels, resamples, seed)
            layer |= dict(zip(("dprime", "dprime_low", "dprime_high"), interval, strict=True))
            rows.append(_place(point.cut) | {"split": split} | layer | {"images": len(dprime)})
    table = pd.DataFrame(rows)
    ends = ("", "_low", "_high")
    first = [
        f"{name}{end}"
        for name in ("N_c", "C_s", "n", "S", "X_internal", "X_external", "snr", "dprime")
        for end in ends
    ]
    ahead = ["cut", "layer", "split", *first]
    return table[ahead + [column for column in table.columns if column not in ahead]]


def worth_seeing(counted: pd.DataFrame) -> int:
    """The filter with the most ones inside squares off the diagonal, that is with the largest clusters; of several
    the one with the least noise."""
    return int(counted.sort_values(["internal", "noise"], ascending=[False, True], kind="stable")["filter"].iloc[0])


def typical(counted: pd.DataFrame) -> int:
    """The filter in the middle of the order of `worth_seeing`: of all filters, half have larger clusters."""
    order = counted.sort_values(["internal", "noise"], ascending=[False, True], kind="stable")["filter"]
    return int(order.iloc[len(order) // 2])


def one_filter(run: stages.Run, layers: tuple[int, ...] = (), filter_: int | None = None) -> pd.DataFrame:
    """Every element of the field matrix of a filter, what clipping and clusters make of it, one filter a layer.

    `layers`: by default the first with a pool, a middle one and the last; `filter_`: by default in each layer the
    one `worth_seeing`, and of the last the `typical` one as well; `which` says why a filter is there.  Of more than
    `WHOLE` labels, `labels` says how many, the first `SHOWN` in cluster order are there, numbered anew.  Raises
    `ValueError` for a layer or a filter that is not there.
    """
    chosen = [(layer, filter_, LARGEST_CLUSTERS) for layer in layers or _early_middle_last(run)]
    if not layers and filter_ is None:
        last = chosen[-1][0]
        chosen.append((last, typical(counts(run)[last]), TYPICAL))
    parts = [_first_in_order(_every_element(run, layer, which)).assign(which=why) for layer, which, why in chosen]
    distinct = {tuple(part[["layer", "filter"]].iloc[0]): part for part in reversed(parts)}  # typical may be the best
    return pd.concat(reversed(distinct.values()), ignore_index=True)


def _every_element(run: stages.Run, layer: int, filter_: int | None) -> pd.DataFrame:
    measured, weights = stages.measurement(run), stages.heads(run)[0]
    names = np.array(stages.splits(run)["train"].names)
    by_layer = {point.cut.layer: point for point in stages.flat_points(run)}
    if layer not in by_layer:
        raise ValueError(f"no head at layer {layer}; there are heads at {', '.join(map(str, by_layer))}")
    point = by_layer[layer]
    which = worth_seeing(counts(run)[layer]) if filter_ is None else filter_
    if not 0 <= which < point.cut.filters:
        raise ValueError(f"layer {layer} has filters 0 to {point.cut.filters - 1}, {which} asked for")
    part = slice(which, which + 1)
    matrix = fields.field_matrices(measured.class_means[point.name][:, part], weights[point.name][:, part])
    table = _elements(matrix.numpy(), names, run.profile.analysis.threshold)
    return pd.DataFrame(_place(point.cut) | {"filter": which}, index=table.index).join(table)


def _first_in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Of a matrix too large for a figure, the elements of the labels that come first in cluster order."""
    labels = int(table["true_index"].max()) + 1
    if labels <= WHOLE:
        return table
    shown = table[(table["true_position"] < SHOWN) & (table["out_position"] < SHOWN)]
    anew = {name: shown[name].rank(method="dense").astype(int) - 1 for name in ("true_index", "out_index")}
    return shown.assign(**anew, labels=labels)


def cluster_images(run: stages.Run, layer: int | None = None, filter_: int | None = None) -> pd.DataFrame:
    """Test images of the labels in each cluster of a filter, the largest clusters first, and of some in none.

    Of more than `CLUSTERS` clusters, `clusters` says how many, the largest are there.
    """
    one = _every_element(run, _early_middle_last(run)[-1] if layer is None else layer, filter_)
    split = stages.splits(run)["test"]
    diagonal = one[one["true_index"] == one["out_index"]].sort_values("true_position")
    of_clusters = list(diagonal.groupby("cluster", sort=False))
    found = [pair for pair in of_clusters if pair[0] >= 0]
    if len(found) > CLUSTERS:
        of_clusters = found[:CLUSTERS] + of_clusters[len(found) :]  # labels in none come last
    rows = []
    for cluster, members in of_clusters:
        spread = np.linspace(0, len(members) - 1, min(IMAGES, len(members))).round().astype(int)
        for row in members.iloc[spread].itertuples():  # not the first of the alphabet alone
            image = split.images[int((split.labels == row.true_index).nonzero()[0])].cpu().numpy()
            place = {"cut": row.cut, "layer": row.layer, "filter": row.filter, "cluster": cluster}
            place["labels"] = len(members)
            rows.append(place | {"label": row.true_label, "png": drawing.encode_png(image)})
    table = pd.DataFrame(rows)
    return table.assign(clusters=len(found)) if len(found) > CLUSTERS else table


def layer_claims(run: stages.Run) -> pd.DataFrame:
    """Claims C1 to C3, about the layers of the profile's own network, by the rules of `claims`."""
    points, correct = stages.flat_points(run), stages.measurement(run, "test").correct
    answers = np.stack([correct[point.name].numpy() for point in points], axis=1)
    labels = len(stages.splits(run)["train"].names)
    settings = (run.profile.analysis.resamples, run.profile.seed)
    decided = (
        claims.claim_c1(answers, [point.cut.layer for point in points], *settings),
        claims.claim_c2(counts(run), labels, *settings),
        claims.claim_c3(counts(run), labels, *settings),
    )
    return pd.DataFrame([dataclasses.asdict(claim) for claim in decided])


def _elements(matrix: np.ndarray, names: np.ndarray, threshold: float) -> pd.DataFrame:
    """One row per element of one field matrix `[1, true_label, out_label]`."""
    clipped = clusters.clip(matrix, threshold)
    found = clusters.find(clipped)
    position = np.argsort(clusters.display_order(found)[0])
    found = found[0]
    true, out = (index.ravel() for index in np.indices(matrix.shape[1:]))
    same = (found[true] == found[out]) & (found[true] >= 0)
    largest = matrix.max()
    columns = {
        "true_index": true,
        "out_index": out,
        "true_label": names[true],
        "out_label": names[out],
        "field": matrix.ravel(),
        "relative": matrix.ravel() / largest if largest > 0 else np.full(matrix.size, np.nan),
        "clipped": clipped.ravel().astype(int),
        "cluster": np.where(same, found[true], -1),
        "true_position": position[true],
        "out_position": position[out],
        "threshold": threshold,
    }
    return pd.DataFrame(columns)


def _early_middle_last(run: stages.Run) -> tuple[int, ...]:
    """Three layers that show the depth: the first before which the map shrinks, a middle such one, and the last."""
    points = stages.flat_points(run)
    shrinks = [
        here.cut.layer
        for before, here in zip(points[:-1], points[1:], strict=True)
        if here.cut.positions < before.cut.positions
    ] or [point.cut.layer for point in points]
    return tuple(sorted({shrinks[0], shrinks[len(shrinks) // 2], points[-1].cut.layer}))


def _place(cut: networks.CutPoint) -> dict[str, object]:
    return {"cut": cut.name, "layer": cut.layer}
