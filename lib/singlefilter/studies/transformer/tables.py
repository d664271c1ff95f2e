"""Nodes and attention heads of a transformer, block by block, beside the filters of the profile's own network.

A node takes the place of a filter, its tokens that of positions; an attention head does so as a whole.  Everything
else, heads, clusters and claims, is as for layers of filters.  Source: section 10 of the method.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from singlefilter import profiles
from singlefilter.drawing import ENDS
from singlefilter.method import statistics
from singlefilter.pipeline import stages
from singlefilter.studies.layers import claims
from singlefilter.studies.layers.counting import counts

FILTERS, NODES, ATTENTION = "filters", "nodes", "attention heads"
QUANTITIES = ("N_c", "C_s", "n", "snr")


def transformer(run: stages.Run) -> stages.Run:
    """The run of the profile's transformer.  Raises `ProfileError` when the profile has no group `transformer`."""
    profile, config = run.profile, profiles.group(run.profile, "transformer")
    changed = {"network": config.network, "training": config.training, "heads": config.heads}
    alone = dict.fromkeys(("choice", "by_labels", "by_width", "afcc", "transformer"))
    name = f"{profile.name}, transformer"
    return dataclasses.replace(run, profile=dataclasses.replace(profile, name=name, **changed, **alone))


def networks(run: stages.Run) -> list[stages.Run]:
    """The network that notebook 09 needs beside the profile's own; none where it has no group `transformer`."""
    return [transformer(run)] if run.profile.transformer else []


def provenance(run: stages.Run) -> dict[str, dict]:
    """Where the transformer comes from: `stages.summary`; empty without a group `transformer`."""
    return {"transformer": stages.summary(networks(run))} if run.profile.transformer else {}


def units(run: stages.Run) -> dict[str, tuple[stages.Run, str]]:
    """What is compared: by its name the run that has it, and the kind of its heads.

    Filters are those of the profile's own network, unless that is the transformer itself.
    """
    other = transformer(run)
    found = {NODES: (other, "flat"), ATTENTION: (other, profiles.ATTENTION)}
    return found if run.profile.network == other.profile.network else {FILTERS: (run, "flat")} | found


def by_block(run: stages.Run) -> pd.DataFrame:
    """A row for every layer or block and every kind of unit: accuracy and d' on test images, N_c, C_s, n and SNR of
    the field matrices of training images, each with its interval.

    `unit`: filters, nodes or attention heads; `layer`: of the filters, or the block; `depth`: the layer over the
    number of layers; `filters`: how many units there are.  Raises `ProfileError` when the profile has no group
    `transformer`.
    """
    rows = []
    for unit, (one, kind) in units(run).items():
        points = [point for point in stages.points(one) if point.kind == kind]
        test, counted = stages.measurement(one, "test"), counts(one, kind=kind)
        labels = len(stages.splits(one)["train"].names)
        resamples, seed = one.profile.analysis.resamples, one.profile.seed
        last = points[-1].cut.layer
        for point in points:
            answers = test.correct[point.name]
            accuracy = map(float, statistics.proportion_interval(int(answers.sum()), len(answers)))
            dprime = map(float, statistics.mean_interval(test.dprime[point.name], resamples, seed))
            layer = statistics.layer_statistics(counted[point.cut.layer], labels, resamples, seed)
            row = {"unit": unit, "cut": point.cut.name, "layer": point.cut.layer, "depth": point.cut.layer / last}
            row |= {"filters": point.cut.filters, "positions": point.positions, "labels": labels}
            row |= {f"accuracy{end}": value for end, value in zip(ENDS, accuracy, strict=True)}
            row |= {f"{name}{end}": layer[f"{name}{end}"] for name in QUANTITIES for end in ENDS}
            row |= {f"dprime{end}": value for end, value in zip(ENDS, dprime, strict=True)}
            rows.append(row | {"images": len(answers), "network": one.profile.network.title})
    return pd.DataFrame(rows)


def trends(run: stages.Run) -> pd.DataFrame:
    """Claims C1 to C3 of every kind of unit, by the rules for layers: Kendall's tau, its interval, and the verdict.

    Columns: unit, and those of `claims.Claim`.  Source: section 7.
    """
    rows = []
    for unit, (one, kind) in units(run).items():
        points = [point for point in stages.points(one) if point.kind == kind]
        correct = stages.measurement(one, "test").correct
        answers = np.stack([correct[point.name].numpy() for point in points], axis=1)
        counted, labels = counts(one, kind=kind), len(stages.splits(one)["train"].names)
        settings = one.profile.analysis.resamples, one.profile.seed
        decided = (
            claims.claim_c1(answers, [point.cut.layer for point in points], *settings),
            claims.claim_c2(counted, labels, *settings),
            claims.claim_c3(counted, labels, *settings),
        )
        rows += [{"unit": unit} | dataclasses.asdict(claim) for claim in decided]
    return pd.DataFrame(rows)
