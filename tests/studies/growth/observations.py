"""Observations whose truth is known: errors that follow a law, constants, trends, noise of filters."""

from collections import Counter

import numpy as np
import pandas as pd

DRAWS = 100


FAST = {"resamples": 200}


PICTURES = (3, 10, 20, 40, 60, 80, 100)  # all 100 labels at the end: one subset


GLYPHS = (3, 10, 30, 100, 300, 1000)


def networks(rng, labels, truths, between=0.01, within=0.005, all_labels=100, relative=False) -> pd.DataFrame:
    """3 subsets x 2 seeds at each K, one subset of all labels; `truths`: the mean of each column at K.

    Subsets differ by `between` and seeds by `within`, in the unit of the truth or relative to it.
    """
    rows = []
    for k in labels:
        scale = {name: truth(k) if relative else 1.0 for name, truth in truths.items()}
        for subset in range(1 if k == all_labels else 3):
            shift = 0 if k == all_labels else rng.normal(0, between)
            for seed in range(2):
                row = {"labels": k, "subset": subset, "seed": seed}
                for name, truth in truths.items():
                    row[name] = truth(k) + scale[name] * (shift + rng.normal(0, within))
                rows.append(row)
    return pd.DataFrame(rows)


def errors(rng, law, labels=PICTURES, **noise) -> pd.DataFrame:
    return networks(
        rng, labels, {"error": lambda k: law(k / labels[-1])}, all_labels=100 if labels is PICTURES else None, **noise
    )


def verdicts(draw, claim) -> Counter:
    found = Counter()
    for seed in range(DRAWS):
        tables = draw(np.random.default_rng(seed))
        tables = tables if isinstance(tables, tuple) else (tables,)
        found[claim(*tables, seed=seed, **FAST).verdict] += 1
    return found


def linear(x):
    return 0.02 + 0.5 * x


def power(exponent):
    return lambda x: 0.5 * x**exponent


def logarithm(x):
    return 0.5 + 0.13 * np.log(x)


def flat(x):
    return 0.2


def clusters(rng, exponent, labels=PICTURES):
    truths = {"N_c": lambda k: 2.0, "C_s": lambda k: 1.5 * (k / 3) ** exponent}
    return networks(rng, labels, truths, between=0.05, within=0.05, relative=True)


def layers(rng, labels=GLYPHS, falling=None, noise=0.01, data="glyphs", depth=6) -> pd.DataFrame:
    """Accuracy and SNR of each layer; at K = `falling` SNR falls with the layer instead of rising."""
    rows = []
    place = np.arange(depth) / (depth - 1)
    for k in labels:
        for network in range(4):
            accuracy = 0.3 + 0.5 * place + rng.normal(0, noise, depth)
            snr = 5 + 10 * (1 - place if k == falling else place) + rng.normal(0, 20 * noise, depth)
            rows += [
                {"data": data, "labels": k, "subset": network // 2, "seed": network % 2, "layer": layer}
                | {"accuracy": accuracy[layer], "snr": snr[layer]}
                for layer in range(depth)
            ]
    return pd.DataFrame(rows)


def filters(rng, law, widths=(4, 8, 16, 32), depths=(5, 13)) -> pd.DataFrame:
    """Two seeds of each depth and width, 8 filters for each of the width; noise differs by seed and filter."""
    parts = []
    for depth in depths:
        for width in widths:
            for seed in range(2):
                mean = law(width) * np.exp(rng.normal(0, 0.04))
                noise = rng.poisson(mean * rng.gamma(4, 1 / 4, 8 * width))
                parts.append(pd.DataFrame({"depth": depth, "filters": width, "seed": seed, "noise": noise}))
    return pd.concat(parts)
