"""The whole study of a profile: its tasks done in parallel, and the tables that figures and claims are made of."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from singlefilter import drawing, profiles
from singlefilter.method.statistics import percentile_interval
from singlefilter.pipeline import stages, sweeps
from singlefilter.pipeline.tasks import Task
from singlefilter.studies.pruning import (
    claims,
    convolution_study,
    designs,
    head_study,
    latency,
    network_study,
    truncations,
)
from singlefilter.studies.pruning.answers import AFTER, BEFORE
from singlefilter.studies.rules import Claim

Observed = tuple[pd.DataFrame, list[torch.Tensor]]


def seeded(run: stages.Run) -> list[stages.Run]:
    """The run from each seed of the profile's group `afcc`.  Raises `ProfileError` where there is no such group."""
    seeds = profiles.group(run.profile, "afcc").seeds
    return [dataclasses.replace(run, profile=dataclasses.replace(run.profile, seed=seed)) for seed in seeds]


def tasks(run: stages.Run) -> list[Task]:
    """Everything that is retrained, of every seed; latency is not among them, since it wants the machine alone."""
    made, parts = [], profiles.group(run.profile, "afcc").parts
    for one in seeded(run):
        of_part = {
            "heads": lambda one=one: [head_study.task(one)],
            "convolutions": lambda one=one: convolution_study.tasks(one),
            "networks": lambda one=one: network_study.tasks(one).values(),
        }
        made += [task for part in parts for task in of_part[part]()]
    return made


def complete(run: stages.Run, jobs: int | None = None, scheduler: str | None = None) -> sweeps.Done:
    """Train the networks of every seed, then do every task, both as `sweeps.complete` does items."""
    sweeps.complete(seeded(run), jobs, scheduler=scheduler)
    return sweeps.complete(tasks(run), jobs, scheduler=scheduler)


@functools.lru_cache(maxsize=8)
def observed(run: stages.Run, of_seed: Callable[[stages.Run], Observed]) -> Observed:
    """The `observations` of one of the studies from all seeds: one table, and the right answers of each row."""
    _ensure(run)
    parts = [of_seed(one) for one in seeded(run)]
    return pd.concat([table for table, _ in parts], ignore_index=True), [each for _, right in parts for each in right]


def heads(run: stages.Run) -> pd.DataFrame:
    """Accuracy of masked heads, a row a seed, cut, method, threshold and moment: `head_study.observations`."""
    return observed(run, head_study.observations)[0]


def convolutions(run: stages.Run) -> pd.DataFrame:
    """Accuracy under masked convolutions, a row a seed, chain, method, overlap and moment:
    `convolution_study.observations`."""
    return observed(run, convolution_study.observations)[0]


def truncated(run: stages.Run) -> pd.DataFrame:
    """Cost and accuracy at every cut, a row a seed and layer: `truncations.observations`."""
    _ensure(run)
    return pd.concat([truncations.observations(one) for one in seeded(run)], ignore_index=True)


def networks(run: stages.Run) -> pd.DataFrame:
    """Accuracy and size of smaller networks, a row a seed, design and moment: `network_study.observations`."""
    return observed(run, network_study.observations)[0]


def latencies(run: stages.Run) -> pd.DataFrame:
    """Latency and peak memory on this machine, a row a design and batch, of the first seed's networks:
    `latency.observations`."""
    _ensure(run)
    return latency.observations(seeded(run)[0])


def pareto(run: stages.Run) -> pd.DataFrame:
    """A row for each retrained network, and for the dense one before: accuracy against what it costs.

    Columns: design, method, ours, moment; accuracy, the mean over seeds, with low and high from `claims.paired`;
    difference to the dense network retrained alike, with its _low and _high; parameters and multiply_adds (means
    over seeds), parameters_part, file_bytes; latency_ms, latency_low, latency_high and speedup for both batches, as
    latency_ms_1, ..., latency_ms_100, ...; peak_mb_1, peak_mb_100; threads, machine, seeds, images, seed (all);
    front_latency and front_parameters, 1 where no other network is at least as accurate and as fast at batch 1 (as
    small), and better in one of the two.
    """
    table, right = observed(run, network_study.observations)
    settings = (run.profile.analysis.resamples, run.profile.seed)
    dense = _answers(table, right, design=designs.DENSE, moment=AFTER)
    measured = latencies(run).pivot(index="design", columns="batch").drop(columns=["seed"])
    rows = []
    for (design, moment), of_design in table.groupby(["design", "moment"], sort=False):
        if moment == BEFORE and design != designs.DENSE:
            continue
        answers = _answers(table, right, design=design, moment=moment)
        values, drawn = claims.paired(np.stack([answers, answers - dense], axis=-1), *settings)
        low, high = percentile_interval(drawn)
        first = of_design.iloc[0]
        row = {name: first[name] for name in ("design", "method", "ours", "moment")}
        row |= {"accuracy": values[0], "low": low[0], "high": high[0]}
        row |= {"difference": values[1], "difference_low": low[1], "difference_high": high[1]}
        row |= {name: of_design[name].mean() for name in ("parameters", "multiply_adds", "file_bytes")}
        row["parameters_part"] = of_design["kept_fraction"].mean()
        for batch in latency.BATCHES:
            names = ("latency_ms", "latency_low", "latency_high", "speedup", "peak_mb")
            row |= {f"{name}_{batch}": measured.loc[design, (name, batch)] for name in names}
        row |= {name: measured.loc[design, (name, 1)] for name in ("threads", "machine")}
        rows.append(row | {"seeds": len(answers), "images": answers.shape[1]})
    found = pd.DataFrame(rows).assign(seed=drawing.listed(run.profile.afcc.seeds))
    for name, column in (("front_latency", "latency_ms_1"), ("front_parameters", "parameters")):
        found[name] = _on_front(found["accuracy"].to_numpy(), found[column].to_numpy()).astype(int)
    return found


def decided(run: stages.Run) -> pd.DataFrame:
    """Claims C7, C10 and C11 by the rules of `pruning.claims`: claim, statement, statistic, value, low, high, n,
    verdict, bar, seed."""
    decide = {"heads": _decided_c7, "convolutions": _decided_c10, "networks": _decided_c11}
    settings = (run.profile.analysis.resamples, run.profile.seed)
    found = [decide[part](run, settings) for part in decide if part in run.profile.afcc.parts]
    return pd.DataFrame(map(dataclasses.asdict, found)).assign(seed=drawing.listed(run.profile.afcc.seeds))


def _decided_c7(run: stages.Run, settings: tuple[int, int]) -> Claim:
    table, right = observed(run, head_study.observations)
    last = {"layer": table["layer"].max()}
    dense = [_answers(table, right, **last, method=head_study.DENSE, moment=moment) for moment in (BEFORE, AFTER)]
    main = last | {"method": head_study.AFCC, "threshold": run.profile.analysis.threshold, "moment": AFTER}
    kept = table.loc[_where(table, main), "kept_fraction"].to_numpy()
    return claims.claim_c7(dense, _answers(table, right, **main), kept, *settings)


def _decided_c10(run: stages.Run, settings: tuple[int, int]) -> Claim:
    table, right = observed(run, convolution_study.observations)
    by_method = {}
    for method in (convolution_study.AFCC, convolution_study.RANDOM):
        rows = {"method": method, "overlap": 1, "moment": AFTER}
        chains = table.loc[_where(table, rows), ["first_layer", "last_layer"]].drop_duplicates()
        by_method[method] = {
            f"{first} to {last}": _answers(table, right, **rows, first_layer=first)
            for first, last in chains.to_numpy()
        }
    return claims.claim_c10(*by_method.values(), *settings)


def _decided_c11(run: stages.Run, settings: tuple[int, int]) -> Claim:
    table, right = observed(run, network_study.observations)
    dense = [_answers(table, right, design=designs.DENSE, moment=moment) for moment in (BEFORE, AFTER)]
    after = table[(table["moment"] == AFTER) & (table["ours"] == 1)]
    candidates = {design: _answers(table, right, design=design, moment=AFTER) for design in after["design"].unique()}
    at_one = latencies(run).query("batch == 1").set_index("design")["speedup_low"]
    parameters = after.groupby("design")["kept_fraction"].max()
    return claims.claim_c11(dense, candidates, at_one, parameters, *settings)


@functools.lru_cache(maxsize=4)
def _ensure(run: stages.Run) -> None:
    """Everything is done, once asked for in parallel; what is lost later is done again one by one."""
    complete(run)


def _where(table: pd.DataFrame, values: dict) -> np.ndarray:
    return np.logical_and.reduce([table[column] == value for column, value in values.items()])


def _answers(table: pd.DataFrame, right: list[torch.Tensor], **values) -> np.ndarray:
    """Right answers of the rows with these values, one a seed, float64 `[seeds, images]`.

    Raises `ValueError` where a seed has none or several.
    """
    rows = table[_where(table, values)].sort_values("seed")
    if rows["seed"].tolist() != sorted(table["seed"].unique()):
        raise ValueError(f"{values}: {len(rows)} rows for {table['seed'].nunique()} seeds, one for each is needed")
    return np.stack([right[row].numpy() for row in rows.index]).astype(float)


def _on_front(accuracy: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Whether nothing is at least as accurate and as cheap, and better in one of the two: bool `[networks]`."""
    as_good = (accuracy[:, None] >= accuracy) & (cost[:, None] <= cost)
    better = (accuracy[:, None] > accuracy) | (cost[:, None] < cost)
    return ~(as_good & better).any(0)
