"""Tables of growth, made up: errors that follow a power law, statistics, trends and noise by width."""

import numpy as np
import pandas as pd

from singlefilter.studies.growth import laws

PICTURES = (3, 10, 20, 40, 60, 80, 100)


LETTERS = (3, 10, 30, 100, 300, 1000)


CIFAR = {"profile": "laptop", "data": "CIFAR-100", "network": "VGG-16, VGG-8, d = 8", "seed": "1, 2"}


GLYPHS = {"profile": "glyphs-1000", "data": "embedded glyphs", "network": "VGG-16, VGG-8, d = 8", "seed": "1, 2"}


LAYERS = (2, 4, 7, 10, 13)


SERIES = {  # rho and error at the largest K
    "VGG-16": (0.9, 0.55),
    "VGG-16, images in all fixed": (0.8, 0.8),
    "VGG-16, all labels, answers restricted": (0.7, 0.55),
    **{f"VGG-16 cut after layer {layer}": (0.5 + 0.03 * layer, 0.9 - 0.025 * layer) for layer in LAYERS[:-1]},
    "VGG-8": (0.45, 0.7),
}


NAMES = ("error_by_labels", "laws_of_error", "statistics_by_labels", "trends_by_labels", "noise_by_width")


def error_table(counts=PICTURES) -> pd.DataFrame:
    rows = []
    for series, (rho, last) in SERIES.items():
        for k in counts:
            mean = last * (k / counts[-1]) ** rho
            subsets = 1 if k == counts[-1] else 3
            for shows, error in (("mean", mean), ("max", mean * (1 if subsets == 1 else 1.15))):
                interval = {"error": error, "low": 0.92 * error, "high": 1.05 * error}
                row = {"series": series, "shows": shows, "labels": k, **interval}
                rows.append(row | {"subsets": subsets, "networks": 2 * subsets, "images": 300, "epochs": 15})
    return pd.DataFrame(rows)


def laws_table(counts=PICTURES) -> pd.DataFrame:
    rows = []
    for place, (series, (rho, _)) in enumerate(SERIES.items()):
        for shows in ("mean", "max") if place == 0 else ("mean",):
            for law, exponent, delta, held_out in (
                ("linear", np.nan, 30 * (1 - rho), 0.01 + 0.1 * (1 - rho)),
                ("power", rho, 0.0, 0.01),
                ("logarithm", np.nan, 30 * rho, 0.08 * rho),
                (laws.FAMILY, rho + 0.05, np.nan, np.nan),
            ):
                row = {"series": series, "shows": shows, "law": law, "a": 0.1, "b": 0.2, "exponent": exponent}
                row |= {"exponent_low": exponent - 0.1, "exponent_high": exponent + 0.15, "aicc": delta - 40}
                rows.append(row | {"delta": delta, "held_out": held_out, "K": len(counts)})
    return pd.DataFrame(rows)


def statistics_table(counts=PICTURES, layers=LAYERS) -> pd.DataFrame:
    rows = []
    for layer in layers:
        for k in counts:
            values = {
                "accuracy": 0.5,
                "N_c": 1 + 0.05 * layer,
                "C_s": 1 + 0.02 * layer * np.log(k),
                "n": 0.02 * k**2 / layer,
            }
            values |= {"snr": 0.1 * layer, "covered": 0.1 * k / layer, "dprime": 0.15 * layer - 0.1}
            row = {"layer": layer, "labels": k, "subsets": 3, "networks": 6}
            for name, value in values.items():
                row |= {name: value, f"{name}_low": 0.9 * value, f"{name}_high": 1.2 * value}
            rows.append(row)
    return pd.DataFrame(rows)


def trends_table(counts=PICTURES, layers=LAYERS, subsets=3) -> pd.DataFrame:
    rows = [
        (
            k,
            subset,
            seed,
            layer,
            layer / 13 * (1 - 0.08 * np.log(k)) - 0.01 * subset,
            0.1 * layer * (1 + subset / 20) * k**-0.3,
        )
        for k in counts
        for subset in range(1 if k == counts[-1] else subsets)
        for seed in (1, 2)[:subsets]
        for layer in layers
    ]
    return pd.DataFrame(rows, columns=["labels", "subset", "seed_of_network", "layer", "accuracy", "snr"])


def width_table(widths=(4, 8, 16, 32), depths=(16, 8)) -> pd.DataFrame:
    rows = []
    for depth in depths:
        for width in widths:
            for seed in (1, 2):
                n = 30 * (8 * width) ** (-0.6 if depth == 16 else -0.3) * (1 + 0.05 * (2 * seed - 3))
                row = {"depth": depth, "width": width, "filters": 8 * width, "network_seed": seed}
                row |= {"n": n, "n_low": 0.9 * n, "n_high": 1.1 * n, "accuracy": 0.3 + 0.01 * width * depth / 16}
                rows.append(row | {"labels": 100, "images": 150, "epochs": 12})
    return pd.DataFrame(rows)


def tables(common: dict = CIFAR, counts=PICTURES) -> dict[str, pd.DataFrame]:
    makers = (error_table, laws_table, statistics_table, trends_table)
    made = {name: make(counts) for name, make in zip(NAMES, makers, strict=False)}
    made["noise_by_width"] = width_table()
    return {name: table.assign(**common) for name, table in made.items()}
