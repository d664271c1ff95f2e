"""Are the clusters real? Those found in the trained network beside those of null models. Source: section 9."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch

from singlefilter.method import clusters, nulls, statistics
from singlefilter.pipeline import stages
from singlefilter.studies.controls import tables as controls
from singlefilter.studies.controls.tables import ENDS

FOUND, UNTRAINED, PERMUTED, RANDOM = "found", "untrained trunk", "permuted labels", "random matrices"
CHANCE = (PERMUTED, RANDOM)
JUDGED = ("C_s", "shared")  # what has to be above a null model for its clusters to count as more
VERDICTS = ("above all nulls", "above chance only", "not above chance")
DRAWS = 10  # of each random null model


def untrained(run: stages.Run) -> stages.Run:
    """The same run with a network that was never trained; its heads are."""
    profile = run.profile
    changed = {
        "name": f"{profile.name}-untrained",
        "network": dataclasses.replace(profile.network, weights=None),
        "training": dataclasses.replace(profile.training, epochs=0),
    }
    return dataclasses.replace(run, profile=dataclasses.replace(profile, **changed))


def clusters_are_real(run: stages.Run, with_untrained: bool | None = None, draws: int = DRAWS) -> pd.DataFrame:
    """Clusters found in the trained network beside those of null models, one row a layer and model.

    `model`: "found"; "permuted labels", the true labels of every field matrix permuted before it is clipped; "random
    matrices", as many ones on and off the diagonal of every clipped matrix; "untrained trunk", a network that was
    never trained under heads that were (`with_untrained`, by default as the profile says). The two chance models are
    drawn `draws` times.

    `C_s`, `N_c`, `n`, `snr` as everywhere; `shared`: of the covered labels, the share in clusters of at least two;
    `largest`: labels in a filter's largest cluster, the mean over filters; `dprime`: on test images, of the models
    that have logits. `<quantity>_above`: found minus this model, for C_s, shared and d'. Intervals (95 %) by a
    bootstrap over filters, for the differences the same filters of both, the untrained trunk's on their own; every
    draw of a chance model serves an equal part of the resamples, so its interval holds the spread over draws too.
    Those of d' draw images, the same for both networks.

    `verdict`, of a layer: "above all nulls" where the whole intervals of the differences in C_s and in shared are
    above 0 for every model, the untrained trunk among them; "above chance only" where they are for the two chance
    models; else "not above chance". Layers are judged one by one, without correction for their number. A null model
    that reaches what was found says that clusters alone are no evidence there: a filter that gives the same outputs
    whatever it is shown makes squares of permuted labels too, and a trained head some of untrained maps. It does not
    say that nothing was learned; clusters may become smaller and better. Raises `ValueError` for less than one
    draw. Source: section 9.
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}; a random null model has to be drawn at least once")
    with_untrained = run.profile.controls.untrained if with_untrained is None else with_untrained
    threshold = run.profile.analysis.threshold

    def clipped(matrices: torch.Tensor, _: np.random.Generator) -> Iterable[torch.Tensor]:
        return [clusters.clip(matrices, threshold)]

    def permuted(matrices: torch.Tensor, rng: np.random.Generator) -> Iterable[torch.Tensor]:
        numbers = rng.integers(2**31, size=draws).tolist()
        return (clusters.clip(nulls.permuted_labels(matrices, number), threshold) for number in numbers)

    def random(matrices: torch.Tensor, rng: np.random.Generator) -> Iterable[torch.Tensor]:
        ones = clusters.clip(matrices, threshold)
        return (nulls.random_matrices(ones, number) for number in rng.integers(2**31, size=draws).tolist())

    trained = [(FOUND, run), *([(UNTRAINED, untrained(run))] if with_untrained else [])]
    counted = {name: controls.count_variants(of, clipped) for name, of in trained}
    counted |= {PERMUTED: controls.count_variants(run, permuted), RANDOM: controls.count_variants(run, random)}
    dprime = {name: stages.measurement(of, "test").dprime for name, of in trained}
    rows = []
    for point in stages.flat_points(run):
        by_model = {name: of[point.cut.layer] for name, of in counted.items()}
        images = {name: of[point.name].numpy() for name, of in dprime.items()}
        rows += [
            controls.place(point) | row
            for row in _compared(by_model, images, controls.labels_of(run), *controls.resampling(run))
        ]
    return pd.DataFrame(rows)


def _compared(
    by_model: dict[str, list[pd.DataFrame]], dprime: dict[str, np.ndarray], labels: int, resamples: int, seed: int
) -> list[dict[str, object]]:
    """The rows of one layer of `clusters_are_real`."""
    rows, above = [], {}
    for model, drawn in by_model.items():
        # The same key draws the same filters; those of another network are others.
        key = (seed, 1) if model == UNTRAINED else (seed,)
        values, resampled = _resampled(drawn, labels, resamples, key)
        row: dict[str, object] = {"model": model}
        for name, value in values.items():
            row |= controls.with_interval(name, value, resampled[name])
        row |= _of_images("dprime", dprime.get(model), resamples, seed)
        found, found_resampled = _resampled(by_model[FOUND] * len(drawn), labels, resamples, (seed,))
        for name in JUDGED:
            apart = (np.nan, np.array([np.nan]))
            if model != FOUND:
                apart = (found[name] - values[name], found_resampled[name] - resampled[name])
            row |= controls.with_interval(f"{name}_above", *apart)
        other = dprime[FOUND] - dprime[model] if model in dprime and model != FOUND else None
        row |= _of_images("dprime_above", other, resamples, seed)
        above[model] = all(row[f"{name}_above_low"] > 0 for name in JUDGED)
        rows.append(row | {"filters": len(drawn[0]), "draws": len(drawn), "images": len(dprime[FOUND])})
    by_chance = not all(above[model] for model in CHANCE)
    verdict = VERDICTS[2] if by_chance else VERDICTS[0] if above.get(UNTRAINED, False) else VERDICTS[1]
    return [row | {"verdict": verdict} for row in rows]


def _resampled(
    drawn: list[pd.DataFrame], labels: int, resamples: int, key: tuple[int, ...]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Quantities of a model, the mean over its draws, and of its resamples, an equal part of them from each draw."""
    values, resampled = [], []
    each = -(-resamples // len(drawn))
    for number, table in enumerate(drawn):
        value, again = statistics.resampled_quantities(table, labels, each, np.random.default_rng((*key, number)))
        columns = table[["shared", "covered", "largest"]].to_numpy(float)
        sums = statistics.resampled_sums(columns, each, np.random.default_rng((*key, number)))
        for quantities, total in ((value, columns.sum(0)), (again, sums.T)):
            quantities |= {"shared": controls.ratio(total[0], total[1]), "largest": total[2] / len(table)}
        values.append(value)
        resampled.append(again)
    names = ("C_s", "shared", "largest", "N_c", "n", "snr")
    mean = {name: float(np.mean([value[name] for value in values])) for name in names}
    return mean, {name: np.concatenate([again[name] for again in resampled]) for name in names}


def _of_images(name: str, values: np.ndarray | None, resamples: int, seed: int) -> dict[str, float]:
    """Mean over images and its interval, NaN where a model has no values."""
    interval = [np.nan] * 3 if values is None else statistics.mean_interval(values, resamples, seed)
    return {f"{name}{end}": float(value) for end, value in zip(ENDS, interval, strict=True)}
