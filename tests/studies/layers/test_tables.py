"""The tables behind the figures: their columns, a row for each observation, and values worked out again by loops."""

import dataclasses
import json
import types

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from tests.data.written import write_folders

from singlefilter import data, drawing, figures, profiles
from singlefilter.figures import files, registry
from singlefilter.method import heads
from singlefilter.pipeline import stages
from singlefilter.studies.layers import tables
from singlefilter.studies.scoreboard import tables as scoreboard

LAYERS = range(1, 14)
ENDS = ("", "_low", "_high")


def words(fig: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in fig.findobj(Text)).split())


def naive_matrices(run: stages.Run, layer: int, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fields averaged over the images of each label `[f, i, j]`, logits `[images, j]` and labels, of a flat head."""
    model, _ = stages.network(run)
    point = next(p for p in stages.points(run) if p.name == f"layer{layer}_flat")
    weights = stages.heads(run)[0][point.name].double().numpy()
    images = stages.splits(run)[split]
    with torch.no_grad():
        maps = model.features[:layer](data.to_input(images.images))
    maps = heads.pooled(maps, point.size).flatten(2).double().numpy()
    phi = np.einsum("xfp,jfp->xfj", maps, weights)
    labels = images.labels.numpy()
    matrices = np.stack([phi[labels == i].mean(0) for i in range(5)], axis=1)
    return matrices, phi.sum(1), labels


def naive_clusters(ones: np.ndarray) -> list[list[int]]:
    """Section 5 to the letter."""
    waiting = [i for i in range(len(ones)) if ones[i, i]]
    clusters = []
    while waiting:
        cluster = [waiting[0]]
        for label in waiting[1:]:
            if all(ones[a, b] for a in [*cluster, label] for b in [*cluster, label]):
                cluster.append(label)
        clusters.append(cluster)
        waiting = [label for label in waiting if label not in cluster]
    return clusters


def naive_clip(matrix: np.ndarray) -> np.ndarray:
    return matrix / matrix.max() > 0.3 if matrix.max() > 0 else np.zeros(matrix.shape, bool)


def test_accuracy_by_layer(tiny):
    table = tables.accuracy_by_layer(tiny)
    first = ["cut", "layer", "filters", "positions", "head", "accuracy", "low", "high"]
    assert list(table.columns)[:8] == first
    assert len(table) == 26
    assert not table.duplicated(["layer", "head"]).any()
    assert table["layer"].tolist() == [layer for layer in LAYERS for _ in range(2)]
    assert (table["low"] <= table["accuracy"]).all()
    assert (table["accuracy"] <= table["high"]).all()
    assert (table["n"] == 50).all()
    assert (table["filters"] * table["positions"] == table["fan_in"]).all()
    assert (table["labels"] == 5).all()
    flat = table[table["head"] == "flat"].set_index("layer")
    assert flat.loc[1, "positions"] == 1024
    assert (table[table["head"] == "pooled"]["positions"] == 1).all()
    for layer in (4, 13):
        _, logits, labels = naive_matrices(tiny, layer, "test")
        assert flat.loc[layer, "accuracy"] == pytest.approx((logits.argmax(1) == labels).mean(), abs=1e-12)


@pytest.mark.parametrize("split", ["train", "test"])
def test_statistics_by_layer(tiny, split):
    table = tables.statistics_by_layer(tiny)
    quantities = ("N_c", "C_s", "n", "S", "X_internal", "X_external", "snr", "dprime")
    first = ["cut", "layer", "split", *(f"{name}{end}" for name in quantities for end in ENDS)]
    assert list(table.columns)[: len(first)] == first
    assert len(table) == 26
    assert not table.duplicated(["layer", "split"]).any()
    layer = 7
    row = table[(table["layer"] == layer) & (table["split"] == split)].iloc[0]
    matrices, logits, labels = naive_matrices(tiny, layer, split)
    sizes, noise, filters = [], 0, len(matrices)
    for matrix in matrices:
        ones = naive_clip(matrix)
        found = [len(cluster) for cluster in naive_clusters(ones)]
        sizes += found
        noise += ones.sum() - sum(size**2 for size in found)
    assert row["N_c"] == pytest.approx(len(sizes) / filters)
    assert row["C_s"] == pytest.approx(np.mean(sizes))
    assert row["n"] == pytest.approx(noise / filters)
    assert row["S"] == pytest.approx(sum(sizes) / 5)
    assert row["X_internal"] == pytest.approx(sum(size**2 - size for size in sizes) / 20)
    assert row["X_external"] == pytest.approx(noise / 20)
    assert row["snr"] == pytest.approx(row["S"] / (row["X_internal"] + row["X_external"]))
    dprime = []
    for logit, label in zip(logits, labels, strict=True):
        others = np.delete(logit, label)
        dprime.append((logit[label] - others.mean()) / others.std())
    assert row["dprime"] == pytest.approx(np.mean(dprime), rel=1e-3, abs=1e-4)
    for name in quantities:
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"], name


def test_one_filter(tiny):
    table = tables.one_filter(tiny, (2, 13), 3)
    assert len(table) == 2 * 25
    assert not table.duplicated(["layer", "true_index", "out_index"]).any()
    names = stages.splits(tiny)["train"].names
    for layer, rows in table.groupby("layer"):
        matrix = naive_matrices(tiny, layer, "train")[0][3]
        found = rows.sort_values(["true_index", "out_index"])
        np.testing.assert_allclose(found["field"].to_numpy().reshape(5, 5), matrix, rtol=1e-3, atol=1e-5)
        ones = naive_clip(matrix)
        np.testing.assert_array_equal(found["clipped"].to_numpy().reshape(5, 5), ones)
        if matrix.max() > 0:
            relative = found["relative"].to_numpy().reshape(5, 5)
            np.testing.assert_allclose(relative, matrix / matrix.max(), rtol=1e-3, atol=1e-5)
        number = {label: k for k, cluster in enumerate(naive_clusters(ones)) for label in cluster}
        for row in found.itertuples():
            together = number.get(row.true_index, -1) == number.get(row.out_index, -2)
            assert row.cluster == (number[row.true_index] if together else -1)
            assert (row.true_label, row.out_label) == (names[row.true_index], names[row.out_index])
        order = found[found["true_index"] == found["out_index"]].set_index("true_position").sort_index()
        assert order.index.tolist() == list(range(5))
        runs = order["cluster"].ne(order["cluster"].shift()).sum()
        assert runs == order["cluster"].nunique()  # the labels of a cluster stand together


def test_of_many_labels_the_first_in_cluster_order_are_shown(tiny, monkeypatch):
    whole = tables.one_filter(tiny, (7,), 1)
    monkeypatch.setattr(tables, "WHOLE", 4)
    monkeypatch.setattr(tables, "SHOWN", 3)
    shown = tables.one_filter(tiny, (7,), 1)
    assert len(shown) == 9 and (shown["labels"] == 5).all()
    kept = whole[(whole["true_position"] < 3) & (whole["out_position"] < 3)].reset_index(drop=True)
    anew = {index: number for number, index in enumerate(sorted(kept["true_index"].unique()))}
    assert shown["true_index"].tolist() == kept["true_index"].map(anew).tolist()
    assert shown["out_index"].tolist() == kept["out_index"].map(anew).tolist()
    others = [name for name in whole if name not in ("true_index", "out_index")]
    pd.testing.assert_frame_equal(shown[others], kept[others])
    assert "K = 5 labels, the first 3 of them in cluster order." in words(figures.preview(tiny, "one_filter", shown))


def test_of_many_clusters_the_largest_are_shown(tiny, monkeypatch):
    several = [
        (layer, rows.loc[rows["clusters"] > 1, "filter"].iloc[0])
        for layer, rows in tables.counts(tiny).items()
        if (rows["clusters"] > 1).any()
    ]
    every = tables.cluster_images(tiny, *several[0])
    found = every.loc[every["cluster"] >= 0, "cluster"].nunique()
    monkeypatch.setattr(tables, "CLUSTERS", 1)
    some = tables.cluster_images(tiny, *several[0])
    kept = every[(every["cluster"] == every["cluster"].iloc[0]) | (every["cluster"] < 0)].reset_index(drop=True)
    pd.testing.assert_frame_equal(some.drop(columns="clusters"), kept)
    assert f"The 1 largest of {found} clusters." in words(figures.preview(tiny, "cluster_images", some))


def test_filters_that_are_not_there(tiny):
    with pytest.raises(ValueError, match="layer 2 has filters 0 to 3, 4 asked for"):
        tables.one_filter(tiny, (2,), 4)
    for layer in (0, 14):
        with pytest.raises(ValueError, match=f"no head at layer {layer}; there are heads at 1, 2, 3"):
            tables.one_filter(tiny, (layer,))
        with pytest.raises(ValueError, match=f"no head at layer {layer};"):
            tables.cluster_images(tiny, layer)


def test_the_filter_worth_seeing():
    counted = pd.DataFrame({"filter": [0, 1, 2, 3], "internal": [2, 6, 6, 0], "noise": [0, 3, 1, 0]})
    assert tables.worth_seeing(counted) == 2


def test_layers_shown_by_default(tiny):
    assert tables.one_filter(tiny)["layer"].unique().tolist() == [2, 7, 13]
    assert tables.cluster_images(tiny)["layer"].unique().tolist() == [13]


def test_cluster_images_show_the_labels_they_name(tiny):
    table = tables.cluster_images(tiny, 7)
    split = stages.splits(tiny)["test"]
    assert len(table) == 5
    for row in table.itertuples():
        first = split.names.index(row.label) * 10
        shown = np.asarray(drawing.decode_png(row.png))  # [3, H, W] or [H, W, 3]
        expected = split.images[first].numpy()
        np.testing.assert_array_equal(shown, expected)


def test_curves_and_claims(tiny):
    curves = tables.curves(tiny)
    assert len(curves) == 4
    assert not curves.duplicated(["epoch", "split"]).any()
    claims = scoreboard.claims(tiny)
    assert claims["claim"].tolist() == [f"C{number}" for number in range(1, 12)]
    assert set(claims["profile"]) == {"tiny"}
    assert {"claim", "statistic", "value", "low", "high", "n", "verdict"} <= set(claims.columns)
    assert set(claims["verdict"]) <= {"supported", "not supported", "undecided"}
    assert claims["n"].tolist()[:3] == [50, *(2 * [sum(point.cut.filters for point in stages.flat_points(tiny))])]


@pytest.mark.parametrize("right, expected", [(10, True), (14, True), (30, False)])
def test_a_network_is_at_chance_where_its_interval_reaches_it(tiny, monkeypatch, right, expected):
    """Of 50 test images of five labels 10 are right by chance; Wilson's interval of 14 begins at 17.5 %."""
    last = stages.flat_points(tiny)[-1].name
    measured = types.SimpleNamespace(correct={last: torch.arange(50) < right})
    monkeypatch.setattr(stages, "measurement", lambda run, split: measured)
    assert tables.at_chance(tiny) is expected


def test_samples_say_how_to_get_what_is_missing(tiny):
    table = tables.samples(tiny)
    assert table.groupby("panel").size().to_dict() == {"A": 1, "B": 1, "C": 8}
    missing = table[table["panel"] == "A"].iloc[0]
    assert missing["png"] == ""
    assert "downloaded on first use" in missing["note"]
    assert (table[table["panel"] == "C"]["note"] == "").all()


def test_samples_show_a_data_set_of_ones_own_too(tiny, tmp_path):
    write_folders(tmp_path / "my-pets", size=32)
    own = dataclasses.replace(tiny.profile, data=profiles.Data(name="my-pets", image_size=32))
    table = tables.samples(stages.Run(own, tmp_path))
    titles = table.drop_duplicates("panel").set_index("panel")["title"].to_dict()
    assert titles == {"A": "CIFAR-100", "B": "ImageNet", "C": "embedded glyphs", "D": "my-pets"}
    assert set(table[table["panel"] == "D"]["label"]) == {"ant", "bee", "cat"}


@pytest.mark.parametrize("name", [name for name, one in registry.FIGURES.items() if "ready" not in one.groups])
def test_every_table_is_published_and_drawn_again(tiny, name):
    table = registry.FIGURES[name].table(tiny)
    figures.show(tiny, name, table)
    folder = figures.folder(tiny)
    assert folder.parts[-2:] == ("figures", "tiny")
    written = files.read_table(folder / f"{name}.csv")
    assert len(written) == len(table)
    common = ["profile", "data", "network", "seed"]
    assert list(written.columns) == [*(column for column in table if column not in common), *common]
    assert (written["profile"] == "tiny").all()
    assert (written["data"] == "embedded glyphs").all()
    if "network" not in table:  # those of series and of claims say which networks they are about
        assert (written["network"] == "VGG-16, d = 4").all()
    for column in table.select_dtypes("number"):
        np.testing.assert_allclose(written[column], table[column], rtol=1e-6, equal_nan=True)
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["profile"]["name"] == "tiny"
    assert set(provenance["series"]) == {
        *("by_labels", "by_width", "choice", "afcc", "transformer", "before the last pool")
    }
    before = {ending: (folder / name).with_suffix(ending).read_bytes() for ending in (".png", ".svg")}
    assert {path.name for path in files.redraw(folder, [name])} == {f"{name}.png", f"{name}.svg"}
    assert {ending: (folder / name).with_suffix(ending).read_bytes() for ending in before} == before
