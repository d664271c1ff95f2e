"""A table for every figure, made up, with labels as nasty as they come."""

import numpy as np
import pandas as pd
from tests.studies.controls.test_charts import control_tables
from tests.studies.geometry.made_up import tables as geometry_tables
from tests.studies.growth.made_up import tables as growth_tables
from tests.studies.pruning.made_up import tables as pruning_tables
from tests.studies.transformer.made_up import tables as transformer_tables

from singlefilter import drawing

CIFAR = {"profile": "laptop", "data": "CIFAR-100", "network": "VGG-16, d = 16", "seed": 1}


GLYPHS = {"profile": "quick", "data": "embedded glyphs", "network": "VGG-16, d = 8", "seed": 0}


NASTY = [
    "nan",
    "None",
    "0",
    "1",
    "01",
    "1e5",
    "True",
    "",
    " ",
    ",",
    '"',
    "'",
    "$",
    "$x_1$",
    "_",
    "\\",
    "#",
    "NA",
    "Ж",
]


def image(seed: int, side: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, side, side), dtype=np.uint8)


def samples_table() -> pd.DataFrame:
    rows = [("B", "ImageNet", 0, "", "", "", "ImageNet is not here: put it into the data folder.")]
    for panel, labels in (("A", NASTY[:8]), ("C", NASTY[8:16])):
        for place, label in enumerate(labels):
            png = drawing.encode_png(image(place))
            rows.append((panel, f"title {panel}", place, label, f"{place}.png", png, ""))
    columns = ["panel", "title", "position", "label", "source", "png", "note"]
    return pd.DataFrame(rows, columns=columns).assign(profile="quick")


def curves_table() -> pd.DataFrame:
    rows = [
        (epoch, split, 0.1 * epoch + aside, 3 / epoch + aside, 0.1 / epoch, 12.0)
        for epoch in (1, 2, 3)
        for split, aside in (("train", 0.05), ("test", 0.0))
    ]
    return pd.DataFrame(rows, columns=["epoch", "split", "accuracy", "loss", "learning_rate", "seconds"])


def recipes_table() -> pd.DataFrame:
    rows = [
        ("own", 300, 0.70, 0.68, 0.72, 0.725, 0.715, 0.735, 0),
        ("none", 1, 0.73, 0.71, 0.75, 0.74, 0.73, 0.75, 1),
    ]
    quantities = [f"{name}{end}" for name in ("accuracy", "test_accuracy") for end in ("", "_low", "_high")]
    table = pd.DataFrame(rows, columns=["recipe", "epochs", *quantities, "chosen"])
    return table.assign(images=5000, test_images=10000, seconds=[5.0, 90.0])


def accuracy_table(layers: int = 3) -> pd.DataFrame:
    columns = ["cut", "layer", "filters", "positions", "head", "fan_in", "accuracy", "low", "high", "n"]
    rows = [
        (f"conv{m}", m, 8 * m, 16, head, 8 * m * size, 0.04 * m, 0.04 * m - 0.01, 0.04 * m + 0.02, 1000)
        for head, size in (("flat", 16), ("pooled", 1))
        for m in range(1, layers + 1)
    ]
    return pd.DataFrame(rows, columns=columns)


def statistics_table(layers: int = 5) -> pd.DataFrame:
    names = [
        "N_c",
        "C_s",
        "n",
        "S",
        "X_internal",
        "X_external",
        "snr",
        "dprime",
        "N_c_clustered",
        "n_clustered",
    ]
    rows = []
    for split in ("train", "test"):
        for m in range(1, layers + 1):
            row = {"cut": f"conv{m}", "layer": m, "split": split}
            for name in names:
                value = 2.0**m if name in ("snr", "X_external") else float(m)
                row |= {name: value, f"{name}_low": 0.9 * value, f"{name}_high": 1.2 * value}
            rows.append(row | {"filters": 16, "filters_with_cluster": 9, "images": 500})
    return pd.DataFrame(rows)


def one_filter_table(labels: list[str]) -> pd.DataFrame:
    """Labels 1 and 3 share cluster 0, label 2 is cluster 1 on its own, the element [0, 4] is noise."""
    size = len(labels)
    relative = np.full((size, size), -0.4)
    relative[np.ix_([1, 3], [1, 3])], relative[2, 2], relative[0, 4] = 1.0, 0.5, 0.6
    cluster = np.full((size, size), -1)
    cluster[np.ix_([1, 3], [1, 3])], cluster[2, 2] = 0, 1
    order = [1, 3, 2, 0, *range(4, size)]
    place = np.argsort(order)
    true, out = np.divmod(np.arange(size * size), size)
    table = {"cut": "conv13", "layer": 13, "filter": 7, "true_index": true, "out_index": out}
    table |= {"true_label": [labels[i] for i in true], "out_label": [labels[i] for i in out]}
    table |= {"field": 2 * relative.ravel(), "relative": relative.ravel()}
    table |= {"clipped": (relative > 0.3).ravel().astype(int), "cluster": cluster.ravel()}
    return pd.DataFrame(table | {"true_position": place[true], "out_position": place[out], "threshold": 0.3})


def cluster_images_table() -> pd.DataFrame:
    rows = [
        ("conv13", 13, 7, cluster, 5, label, drawing.encode_png(image(number)))
        for cluster, labels in ((1, ["aquarium_fish", "nan"]), (-1, ["_"]))
        for label in labels
        for number in range(6)
    ]
    return pd.DataFrame(rows, columns=["cut", "layer", "filter", "cluster", "labels", "label", "png"])


def claims_table() -> pd.DataFrame:
    columns = ["claim", "statement", "statistic", "value", "low", "high", "n", "verdict", "bar"]
    rows = [
        ("C1", "accuracy rises with the layer", "rank correlation", 0.9, 0.7, 1.0, 13, "supported", 0.5),
        ("C2", "SNR rises with the layer", "slope of log SNR", 0.1, -0.2, 0.4, 13, "undecided", 0.0),
        ("C3", "noise falls with the layer", "slope of log n", 0.2, 0.1, np.inf, 13, "not supported", 0.0),
    ]
    return pd.DataFrame(rows, columns=columns)


def tables(common: dict, layers: int = 5, labels: int = 20) -> dict[str, pd.DataFrame]:
    names = [*NASTY, *(f"long_label_{i}" for i in range(100))][:labels]
    made = {
        "curves": curves_table(),
        "recipes": recipes_table(),
        "accuracy_by_layer": accuracy_table(layers),
        "one_filter": one_filter_table(names),
        "cluster_images": cluster_images_table(),
        "statistics_by_layer": statistics_table(layers),
        "claims": claims_table(),
    }
    made |= (
        control_tables(layers) | geometry_tables(layers) | growth_tables() | pruning_tables() | transformer_tables()
    )
    return {"samples": samples_table()} | {name: table.assign(**common) for name, table in made.items()}
