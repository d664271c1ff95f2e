"""What the study of pruning observed from several seeds, a tidy row for each point of a figure.

Means are over seeds and test images.  Every interval is that of `claims.paired`: a bootstrap over images, the same
for all seeds and methods, and over seeds.  The table of the Pareto figure is `study.pareto`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from singlefilter import data, drawing, store
from singlefilter.method.statistics import percentile_interval
from singlefilter.pipeline import stages, sweeps
from singlefilter.pipeline.tasks import Task
from singlefilter.studies.growth import series
from singlefilter.studies.pruning import claims, convolution_study, designs, filters, head_study, network_study, study
from singlefilter.studies.pruning.answers import AFTER

DENSE, AFCC = head_study.DENSE, head_study.AFCC  # of convolutions and networks, too

BySeed = dict[int, torch.Tensor]  # right answers, bool `[images]`


def masked_heads(run: stages.Run) -> pd.DataFrame:
    """Accuracy of masked heads: a row for each cut, method, threshold and moment.

    Columns: layer, filters, positions, moment ("before" and "after" retraining), method (one of
    `head_study.METHODS`), threshold (NaN: dense), kept_fraction (mean over seeds); accuracy, low, high; ahead, the
    accuracy of AFCC at the same threshold minus that of this method (NaN: dense and AFCC itself), and difference,
    that of this method minus that of the dense head, both of the same layer and moment, each with its _low and _high;
    seeds (that have this head), images; used, 1 where the threshold is that of the analysis or there is none; seed
    (all of them, as text).  Source: section 8, head.
    """
    table, right = study.observed(run, head_study.observations)
    found = _compared(run, table, right, ("layer", "filters", "positions"), "threshold")
    used = found["threshold"].isna() | (found["threshold"] == run.profile.analysis.threshold)
    return found.assign(used=used.astype(int), seed=drawing.listed(run.profile.afcc.seeds))


def masked_convolutions(run: stages.Run) -> pd.DataFrame:
    """Accuracy under masked convolutions: a row for each chain of layers, method, overlap and moment.

    Columns as `masked_heads`, without used; first_layer, last_layer and pairs say which chain, overlap (NaN: dense)
    how many labels two filters have to share.  Source: section 8, convolution.
    """
    table, right = study.observed(run, convolution_study.observations)
    found = _compared(run, table, right, ("first_layer", "last_layer", "pairs"), "overlap")
    return found.assign(seed=drawing.listed(run.profile.afcc.seeds))


def truncated(run: stages.Run) -> pd.DataFrame:
    """The network that ends at each cut with its flat head: a row a layer.

    Columns: layer, filters, positions; accuracy, low, high as trained; retrained, retrained_low, retrained_high after
    retraining of all its weights (NaN: not among the profile's `afcc.truncations`); parameters and multiply_adds (an
    image), parameters_part and multiply_adds_part of the network that ends at the last cut; levels_off, at how many
    of the seeds this is the first cut within `within` (of accuracy) of the best; seeds, images; seed (as text).
    Source: claim C1 and section 8.
    """
    table = study.truncated(run)
    seeds = study.seeded(run)
    correct = [stages.measurement(one, "test").correct for one in seeds]
    networks, right = study.observed(run, network_study.observations)
    after = networks[networks["moment"] == AFTER]
    rows, answers = [], []
    for layer, of_layer in table.groupby("layer"):
        name = filters.flat_points(run)[layer].name
        answers += [
            _stacked({one.profile.seed: right[name] for one, right in zip(seeds, correct, strict=True)}),
            _stacked(_by_seed(after[after["design"] == designs.Design(layer).title], right)),
        ]
        counted = ("filters", "positions", "parameters", "multiply_adds", "parameters_part", "multiply_adds_part")
        row = {"layer": layer} | {column: of_layer[column].iloc[0] for column in counted}
        row |= {"levels_off": of_layer["levels_off"].sum(), "within": run.profile.afcc.level_off}
        rows.append(row | {"seeds": len(of_layer), "images": of_layer["images"].iloc[0]})
    ends = _ends(run, answers).reshape(len(rows), -1)
    columns = ["accuracy", "low", "high", "retrained", "retrained_low", "retrained_high"]
    found = pd.DataFrame(rows).join(pd.DataFrame(ends, columns=columns))
    ahead = ["layer", "filters", "positions", *columns]
    others = [column for column in found if column not in ahead]
    return found[ahead + others].assign(seed=drawing.listed(run.profile.afcc.seeds))


def masked_heads_by_width(run: stages.Run) -> pd.DataFrame:
    """Masked heads at the last cut of networks of every width: a row for each width d, method and moment.

    The networks are those of the profile's `by_width`, of its first depth.  Columns as `masked_heads`, with width,
    without used; data, network and seed say which networks they are.  No rows where the profile has no `by_width`.
    """
    items = _of_widths(run)
    if not items:
        return pd.DataFrame()
    series.complete(items)
    sweeps.complete(width_tasks(run))
    read = [head_study.observations(item.run) for item in items]
    table = pd.concat(
        [of_item.assign(width=item.width) for item, (of_item, _) in zip(items, read, strict=True)], ignore_index=True
    )
    right = [each for _, of_item in read for each in of_item]
    found = _compared(run, table, right, ("width", "layer", "filters", "positions"), "threshold")
    config = run.profile.by_width
    network = f"VGG-{config.depths[0]}, d = {min(config.widths)} to {max(config.widths)}"
    return found.assign(data=data.title(config.data.name), network=network, seed=drawing.listed(config.seeds))


def width_tasks(run: stages.Run) -> list[Task]:
    """What `masked_heads_by_width` retrains, a task for each network, which is to be trained before."""
    return [head_study.task(item.run) for item in _of_widths(run)]


def tasks(run: stages.Run) -> list[Task]:
    """Everything that is pruned and retrained of the networks of a profile, none without a group `afcc`."""
    return [*study.tasks(run), *width_tasks(run)] if run.profile.afcc else []


def provenance(run: stages.Run) -> dict[str, dict]:
    """Where what was retrained comes from: how many tasks, and `store.summary`; empty without a group `afcc`.

    Latency is not among it: its rows name machine and threads.
    """
    every = tasks(run)
    return {"afcc": {"tasks": len(every)} | store.summary(task.folder() for task in every)} if every else {}


def _of_widths(run: stages.Run) -> list[series.Item]:
    """The networks of the first depth of the profile's `by_width`, only their last head to be masked."""
    config = study.seeded(run)[0].profile.afcc  # says so where there is none
    if run.profile.by_width is None:
        return []
    found = []
    for item in series.by_width(run):
        if item.depth == run.profile.by_width.depths[0]:
            own = dataclasses.replace(config, seeds=(item.seed,), cuts=(max(filters.flat_points(item.run)),))
            own = dataclasses.replace(own, thresholds=())  # none but that of the analysis
            profile = dataclasses.replace(item.run.profile, afcc=own)
            found.append(dataclasses.replace(item, run=dataclasses.replace(item.run, profile=profile)))
    return found


def _compared(
    run: stages.Run, table: pd.DataFrame, right: Sequence[torch.Tensor], place: tuple[str, ...], knob: str
) -> pd.DataFrame:
    """A row for each method and value of the knob (a column) at each place and moment, over seeds.

    right: right answers of each row of the table.  Where a seed lacks one of two networks, they are compared at the
    others.
    """
    rows = []
    for at, here in table.groupby([*place, "moment"], sort=False):
        dense = _by_seed(here[here["method"] == DENSE], right)
        beside, answers = [], []
        for (method, value), of_method in here.groupby(["method", knob], dropna=False, sort=False):
            own = _by_seed(of_method, right)
            afcc = _by_seed(here[(here["method"] == AFCC) & (here[knob] == value)], right)
            answers += [_stacked(own), _minus(afcc, {} if method == AFCC else own), _minus(own, dense)]
            row = dict(zip((*place, "moment"), at, strict=True)) | {"method": method, knob: value}
            row |= {"kept_fraction": of_method["kept_fraction"].mean(), "seeds": len(own)}
            beside.append(row | {"images": of_method["images"].iloc[0]})
        ends = _ends(run, answers).reshape(len(beside), -1)
        for row, values in zip(beside, ends, strict=True):
            compared = (f"{name}{end}" for name in ("ahead", "difference") for end in drawing.ENDS)
            names = ("accuracy", "low", "high", *compared)
            rows.append(row | dict(zip(names, values, strict=True)))
    found = pd.DataFrame(rows)
    return found[[column for column in found if column not in ("seeds", "images")] + ["seeds", "images"]]


def _ends(run: stages.Run, answers: Sequence[np.ndarray]) -> np.ndarray:
    """Mean, low and high of each of some answers or differences of them `[seeds, images]`, float64 `[them, 3]`.

    NaN where there is no seed.
    """
    found = np.full((len(answers), 3), np.nan)
    seeds = np.array([len(each) for each in answers])
    for number in set(seeds) - {0}:
        which = np.flatnonzero(seeds == number)
        together = np.stack([answers[one] for one in which], axis=-1)
        values, drawn = claims.paired(together, run.profile.analysis.resamples, run.profile.seed)
        found[which] = np.stack([values, *percentile_interval(drawn)], axis=-1)
    return found


def _by_seed(rows: pd.DataFrame, right: Sequence[torch.Tensor]) -> BySeed:
    return {seed: right[row] for row, seed in rows["seed"].items()}


def _minus(one: BySeed, other: BySeed) -> np.ndarray:
    return _stacked({seed: one[seed].double() - other[seed].double() for seed in one if seed in other})


def _stacked(answers: BySeed) -> np.ndarray:
    """Float64 `[seeds, images]`, seeds in ascending order; empty without seeds."""
    return np.stack([answers[seed].double().numpy() for seed in sorted(answers)]) if answers else np.empty((0, 0))
