"""Heads on one frozen network for some of its labels at a time: how results grow with K when the trunk stays.

The maps of all images are computed once, un-augmented, and every head of every subset is trained from them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from singlefilter import data, profiles, progress, store
from singlefilter.method import clusters, fields, heads, statistics
from singlefilter.networks import training
from singlefilter.pipeline import stages
from singlefilter.pipeline.tasks import Task
from singlefilter.studies.growth import series

Maps = list[torch.Tensor]  # of each head, float32 [images, filters * positions]


@dataclass(frozen=True)
class SubsetSettings:
    """Which subsets of the labels get heads, of which layers, and how these are trained."""

    subsets: tuple[tuple[int, int], ...]  # labels, and the draw
    train_per_label: int
    recipe: profiles.Heads
    steps: int
    threshold: float

    @property
    def title(self) -> str:
        return f"heads on {len(self.subsets)} subsets of labels"


def task(run: stages.Run) -> Task:
    """The one task of a run.  Raises `ProfileError` where the data have fewer labels than the profile asks for."""
    config = profiles.group(run.profile, "by_labels")
    subsets = tuple((labels, draw) for labels, draws in series.subsets_of(run).items() for draw in range(draws))
    settings = SubsetSettings(
        subsets, config.train_per_label, config.heads, config.steps, run.profile.analysis.threshold
    )
    return Task("subset-heads", run, settings, build, cost=sum(labels for labels, _ in subsets))


def observations(run: stages.Run) -> pd.DataFrame:
    """A row for each subset and layer, with the columns of `series.observations`; depth: the layers of the network;
    epochs: of the heads."""
    table = pd.read_csv(task(run).complete() / "observations.csv")
    return table[table["curve"] == series.PER_LABEL].drop(columns="above_chance")


def restricted(run: stages.Run) -> pd.DataFrame:
    """Answers of the last head on all labels, restricted to each subset: the columns of `series.restricted`."""
    table = pd.read_csv(task(run).complete() / "observations.csv")
    columns = ["curve", "depth", "width", "seed", "layer", "labels", "subset", "accuracy", "error"]
    return table.loc[table["curve"] == series.RESTRICTED, columns].reset_index(drop=True)


def at_chance(run: stages.Run) -> list[str]:
    """Subsets on which the last head answers no better than chance, as `series.at_chance` says it of networks."""
    table = pd.read_csv(task(run).complete() / "observations.csv")
    last = table[(table["curve"] == series.PER_LABEL) & (table["layer"] == table["layer"].max())]
    return [f"{row.labels} labels (draw {row.subset})" for row in last.itertuples() if not row.above_chance]


def build(run: stages.Run, settings: SubsetSettings, work: Path) -> None:
    """Train and measure the heads of every subset; those that are done are kept when it is interrupted."""
    splits, points = stages.splits(run), stages.flat_points(run)
    names = splits["train"].names
    train = data.part(splits["train"], tuple(range(len(names))), settings.train_per_label)
    seen: dict[str, tuple[Maps, torch.Tensor]] = {}
    for labels, draw in progress.bar(settings.subsets, "heads on subsets", "subset", total=len(settings.subsets)):
        note = work / f"{labels}-{draw}.json"
        if note.exists():
            continue
        if not seen:
            model = stages.network(run)[0]
            seen = {"train": _maps(model, points, train), "test": _maps(model, points, splits["test"])}
        chosen = data.drawn_labels(len(names), labels, draw)
        rows, weights = _of_subset(run, points, seen, settings, chosen)
        if labels == len(names):  # every smaller subset is among these answers
            test, truth = seen["test"]
            logits = test[-1] @ weights[points[-1].name].flatten(1).T.to(truth.device)
            rows += _restricted(logits, truth, settings, len(names), points[-1].cut.layer)
        store.write_json(note, [{"labels": labels, "subset": draw} | row for row in rows])
    rows = [
        row for labels, draw in settings.subsets for row in json.loads((work / f"{labels}-{draw}.json").read_text(encoding="utf-8"))
    ]
    place = {"depth": max(point.cut.layer for point in points), "width": 0, "seed": run.profile.seed}
    pd.DataFrame(rows).assign(**place).to_csv(work / "observations.csv", index=False)


@torch.no_grad()
def _maps(model: torch.nn.Module, points: list[heads.HeadPoint], split: data.Split) -> tuple[Maps, torch.Tensor]:
    """What every head sees of all images of a split, un-augmented, and their labels."""
    whole = [torch.empty(len(split), point.fan_in, device=split.device) for point in points]
    begun = 0
    with heads.frozen_trunk(model, points, data.to_input(split.first(heads.FEW))) as features_of:
        for images, _ in split.in_batches(500):
            with training.autocast(split.device):
                seen = features_of(data.to_input(images))
            for every, some in zip(whole, seen, strict=True):
                every[begun : begun + len(images)] = some
            begun += len(images)
    return whole, split.labels


def _of_subset(
    run: stages.Run,
    points: list[heads.HeadPoint],
    seen: dict[str, tuple[Maps, torch.Tensor]],
    settings: SubsetSettings,
    chosen: tuple[int, ...],
) -> tuple[list[dict], dict[str, torch.Tensor]]:
    """Rows of one subset, a layer each, and the weights of its heads."""
    labels = len(chosen)
    own = {split: _among(maps, truth, chosen) for split, (maps, truth) in seen.items()}
    places, truth = own["train"]
    steps = math.ceil(len(places) / settings.recipe.batch) * settings.recipe.epochs
    recipe = series.stretched(settings.recipe, max(1.0, settings.steps / steps))

    def batches(epoch: int) -> Iterator[tuple[Maps, torch.Tensor]]:
        generator = torch.Generator().manual_seed(data.mix(run.profile.seed, epoch))
        for part in torch.randperm(len(places), generator=generator).to(places.device).split(recipe.batch):
            yield [every[places[part]] for every in seen["train"][0]], truth[part]

    weights, _ = heads.fit_features(
        batches, len(places), points, labels, recipe, on=places.device, seed=run.profile.seed, deadline=run.deadline
    )
    rows = []
    for number, point in enumerate(points):
        kernel = weights[point.name].flatten(1).T.to(places.device)
        maps, test = (seen[split][0][number][own[split][0]] for split in ("train", "test"))
        right = (test @ kernel).argmax(1) == own["test"][1]
        _, low, _ = statistics.proportion_interval(int(right.sum()), len(right))
        accuracy = float(right.double().mean())
        row = {"curve": series.PER_LABEL, "layer": point.cut.layer, "filters": point.cut.filters}
        row |= {"images": settings.train_per_label, "epochs": recipe.epochs}
        row |= {"accuracy": accuracy, "error": 1 - accuracy, "above_chance": int(low > 1 / labels)}
        means = torch.zeros(labels, point.fan_in, device=maps.device).index_add_(0, truth, maps)
        means /= truth.bincount(minlength=labels)[:, None]
        row |= _counted(means.view(labels, point.cut.filters, -1).cpu(), weights[point.name], settings.threshold)
        dprime = statistics.dprime(maps @ kernel, truth)
        rows.append(row | {"dprime": float(np.nanmean(dprime.cpu().numpy()))})
    return rows, weights


def _among(maps: Maps, truth: torch.Tensor, chosen: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the images of some labels lie, and these labels numbered anew in the order given."""
    numbers = torch.full((int(truth.max()) + 1,), -1, device=truth.device)
    numbers[list(chosen)] = torch.arange(len(chosen), device=truth.device)
    places = (numbers[truth] >= 0).nonzero().squeeze(1)
    return places, numbers[truth[places]]


def _counted(means: torch.Tensor, weights: torch.Tensor, threshold: float) -> dict[str, float]:
    """Clusters, noise and SNR of a layer from class means and the weights of its head."""
    parts = []
    for _, matrices in fields.chunks(means, weights):
        clipped = clusters.clip(matrices, threshold)
        parts.append(statistics.count_filters(clipped, clusters.find(clipped)))
    counted, labels = pd.concat(parts, ignore_index=True), len(weights)
    values, _ = statistics.resampled_quantities(counted, labels, 1, np.random.default_rng(0))
    return {name: values[name] for name in ("N_c", "C_s", "n", "snr")} | {"covered": counted["covered"].mean()}


def _restricted(logits: torch.Tensor, truth: torch.Tensor, settings: SubsetSettings, there: int, layer: int) -> list:
    """Rows of every subset, from logits of a head on all labels."""
    rows = []
    for labels, draw in settings.subsets:
        chosen = torch.tensor(data.drawn_labels(there, labels, draw), device=truth.device)
        asked = torch.isin(truth, chosen)
        accuracy = (chosen[logits[asked][:, chosen].argmax(1)] == truth[asked]).double().mean().item()
        row = {"curve": series.RESTRICTED, "layer": layer, "labels": labels, "subset": draw}
        rows.append(row | {"accuracy": accuracy, "error": 1 - accuracy})
    return rows


def tasks(run: stages.Run) -> list[Task]:
    """The task of a run whose profile has heads on a frozen network, else none."""
    return [task(run)] if run.profile.by_labels is not None and run.profile.by_labels.frozen else []


def provenance(run: stages.Run) -> dict[str, dict]:
    """Where heads on a frozen network come from: `store.summary`; empty for other profiles."""
    made = tasks(run)
    return {"by_labels": {"tasks": len(made)} | store.summary(one.folder() for one in made)} if made else {}
