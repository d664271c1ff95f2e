"""Truncation: what a network costs that ends at each cut, and where accuracy levels off."""

from __future__ import annotations

import pandas as pd
import torch

from singlefilter import afcc
from singlefilter.method import statistics
from singlefilter.pipeline import stages
from singlefilter.studies.pruning import filters


def observations(run: stages.Run) -> pd.DataFrame:
    """A row for each cut: the network up to there with its flat head, as trained, nothing retrained.

    Columns: seed, layer, filters, positions; accuracy, low and high (Wilson), correct, images (of the test split);
    parameters and multiply_adds (an image) of what is left, and as parts of the network that ends at the last cut
    (parameters_part, multiply_adds_part); levels_off, 1 at the first cut whose accuracy is at most the profile's
    `afcc.level_off` below that of the best cut.  Source: claim C1 and section 8.
    """
    correct = stages.measurement(run, "test").correct
    model, weights = stages.network(run)[0], stages.heads(run)[0]
    image = black_image(run)
    rows = []
    for layer, point in filters.flat_points(run).items():
        right = correct[point.name]
        accuracy, low, high = map(float, statistics.proportion_interval(int(right.sum()), len(right)))
        row = {"seed": run.profile.seed, "layer": layer, "filters": point.cut.filters, "positions": point.positions}
        row |= {"accuracy": accuracy, "low": low, "high": high, "correct": int(right.sum()), "images": len(right)}
        cost = afcc.costs(afcc.truncate(model, point, weights[point.name]), image)
        rows.append(row | {"parameters": cost.parameters, "multiply_adds": cost.multiply_adds})
    table = pd.DataFrame(rows)
    for column in ("parameters", "multiply_adds"):
        table[f"{column}_part"] = table[column] / table[column].iloc[-1]
    enough = table["accuracy"] >= table["accuracy"].max() - run.profile.afcc.level_off
    return table.assign(levels_off=(table.index == enough.idxmax()).astype(int))


def black_image(run: stages.Run) -> torch.Tensor:
    """One image of the size in use, float32 `[1, 3, side, side]`: enough to count what a network costs."""
    side = run.profile.data.image_size
    return torch.zeros(1, 3, side, side)
