"""Networks in a row: one for each number of labels, or for each number of filters, all else alike."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from singlefilter import data, profiles
from singlefilter.method import statistics
from singlefilter.pipeline import stages, sweeps
from singlefilter.pipeline.restricted import restricted_accuracy
from singlefilter.studies.layers import counting, tables

log = logging.getLogger(__name__)

PER_LABEL, IN_ALL, RESTRICTED = "images per label", "images in all", "restricted answers"
CURVES = {
    PER_LABEL: "trained on K labels, the number of images per label held fixed",
    IN_ALL: "trained on K labels, the number of images in all held fixed",
    RESTRICTED: "one network trained on all labels, its answers restricted to K of them",
}


@dataclass(frozen=True)
class Item:
    """One network of a series: the curve it belongs to, what varies along it, and its run."""

    curve: str
    depth: int
    width: int
    labels: int
    subset: int
    seed: int
    run: stages.Run


def by_labels(run: stages.Run) -> list[Item]:
    """A network for every number of labels and subset, in each curve and depth of the profile's `by_labels`.

    The first curve of the first depth has one for every seed, the others for the first seed only.  Where two curves
    need the same network they share its run.  None where heads sit on a frozen one (`frozen`).  Raises `ProfileError`
    as `subsets_of`.
    """
    config, subsets = profiles.group(run.profile, "by_labels"), subsets_of(run)
    items = []
    if config.frozen:
        return items
    for curve, depth, per_label in _curves(config):
        for labels, different in subsets.items():
            images = per_label or config.in_all // labels
            if not 1 <= images <= config.train_per_label:
                continue  # the second curve begins where each label has images enough
            claimed = (curve, depth) == (PER_LABEL, config.depths[0])
            for subset, seed in itertools.product(range(different), config.seeds if claimed else config.seeds[:1]):
                part = profiles.Part(labels, subset, images)
                of = _item_run(run, config, depth, config.width, part, labels, seed)
                items.append(Item(curve, depth, config.width, labels, subset, seed, of))
    return items


def subsets_of(run: stages.Run) -> dict[int, int]:
    """How many subsets there are of each number of labels of the profile's `by_labels`, in ascending order.

    Raises `ProfileError` when the profile has no such group or the data have fewer labels than it asks for.
    """
    config, there = profiles.group(run.profile, "by_labels"), _labels(run, "by_labels")
    if max(config.counts) > there:
        raise profiles.ProfileError(
            f"profile {run.profile.name}: by_labels.counts: {max(config.counts)} labels asked for, "
            f"{data.title(config.data.name)} has {there} here"
        )
    return {labels: _subsets(config, labels, there, run.profile.name) for labels in sorted(config.counts)}


def by_width(run: stages.Run) -> list[Item]:
    """A network for every depth, width and seed of the profile's `by_width`, on all labels of its data.

    Raises `ProfileError` when the profile has no such group.
    """
    config, labels = profiles.group(run.profile, "by_width"), _labels(run, "by_width")
    part = profiles.Part(None, 0, config.train_per_label)
    return [
        Item(PER_LABEL, depth, width, labels, 0, seed, _item_run(run, config, depth, width, part, labels, seed))
        for depth in config.depths
        for width in sorted(config.widths)
        for seed in config.seeds
    ]


def complete(items: Sequence[Item], jobs: int | None = None, scheduler: str | None = None) -> None:
    """Train, cut and measure every network that is not in the store yet: `sweeps.complete`, each run once."""
    sweeps.complete(list(dict.fromkeys(item.run for item in items)), jobs, scheduler=scheduler)


def observations(items: Sequence[Item]) -> pd.DataFrame:
    """One row for every network and layer, from what is in the store.

    Columns: curve, depth, width, labels, subset, seed, layer, filters (of the layer), images (of training, per
    label), epochs; accuracy and error of the flat head on test images; N_c, C_s, n, snr, covered (labels per filter)
    and dprime on training images.  Source: sections 6 and 7.
    """
    known: dict[stages.Run, list[dict]] = {}
    rows = []
    for item in items:
        if item.run not in known:
            known[item.run] = list(_layers(item.run, item.labels))
        place = {field.name: getattr(item, field.name) for field in dataclasses.fields(Item) if field.name != "run"}
        rows += [place | row for row in known[item.run]]
    return pd.DataFrame(rows)


def at_chance(items: Sequence[Item]) -> list[str]:
    """Names of the networks whose last flat head answers no better than chance: the 95 % interval of its accuracy on
    test images reaches down to 1/K.  What is measured of them says nothing about learning."""
    return [run.profile.name for run in dict.fromkeys(item.run for item in items) if tables.at_chance(run)]


def restricted(items: Sequence[Item]) -> pd.DataFrame:
    """The control of `by_labels`: networks trained on all labels, their answers restricted to each subset.

    They are those of the first depth, and the subsets are those that its other networks were trained on.  Columns:
    curve, depth, width, labels, subset, seed, layer (the last one, whose head answers), accuracy and error.
    Raises `ValueError` when no network was trained on all labels.  Source: section 7.
    """
    first = [item for item in items if item.curve == PER_LABEL and item.depth == items[0].depth]
    there = len(stages.all_labels(first[0].run))
    whole = [item for item in first if item.labels == there]
    if not whole:
        raise ValueError(f"the control needs a network on all {there} labels; add {there} to by_labels.counts")
    drawn = {(item.labels, item.subset): data.drawn_labels(there, item.labels, item.subset) for item in first}
    rows = []
    for item in whole:
        place = {"curve": RESTRICTED, "depth": item.depth, "width": item.width, "seed": item.seed}
        place["layer"] = stages.flat_points(item.run)[-1].cut.layer
        for (labels, subset), accuracy in restricted_accuracy(item.run, drawn).items():
            rows.append(place | {"labels": labels, "subset": subset, "accuracy": accuracy, "error": 1 - accuracy})
    return pd.DataFrame(rows)


def noise(items: Sequence[Item]) -> pd.DataFrame:
    """Noise of every filter at the last cut of each network.

    Columns: depth, width, filters (in the layer), seed, filter, noise.  Source: section 6.
    """
    rows = []
    for item in items:
        counted = counting.counts(item.run)[stages.flat_points(item.run)[-1].cut.layer]
        place = {"depth": item.depth, "width": item.width, "filters": len(counted), "seed": item.seed}
        rows.append(counted[["filter", "noise"]].assign(**place))
    return pd.concat(rows, ignore_index=True)[["depth", "width", "filters", "seed", "filter", "noise"]]


def provenance(run: stages.Run) -> dict[str, dict]:
    """Where the networks of each series of a profile come from: how many there are, and `store.summary`."""
    found = {}
    for name, items_of in (("by_labels", by_labels), ("by_width", by_width)):
        if items_of(run) if getattr(run.profile, name) is not None else []:
            found[name] = stages.summary(item.run for item in items_of(run))
    return found


def _with_data(run: stages.Run, config: profiles.ByLabels | profiles.ByWidth) -> profiles.Profile:
    """The profile with the images of the series: the same for all its networks, whatever their seeds are."""
    seed = run.profile.seed if config.data.seed is None else config.data.seed
    return dataclasses.replace(run.profile, data=dataclasses.replace(config.data, seed=seed))


def _labels(run: stages.Run, name: str) -> int:
    return len(
        stages.all_labels(dataclasses.replace(run, profile=_with_data(run, profiles.group(run.profile, name))))
    )


def _curves(config: profiles.ByLabels) -> Iterator[tuple[str, int, int]]:
    """Curve, depth, and images per label (0: as many as the images in all allow)."""
    yield from ((PER_LABEL, depth, config.train_per_label) for depth in config.depths)
    if config.in_all:
        yield IN_ALL, config.depths[0], 0


def _subsets(config: profiles.ByLabels, labels: int, there: int, name: str) -> int:
    different = math.comb(there, labels)
    if different < config.subsets:
        log.log(
            logging.INFO if labels == there else logging.WARNING,  # nobody expects two choices of all labels
            "profile %s: by_labels.subsets is %d, but of %d among %d labels there %s, and so many are used",
            name, config.subsets, labels, there, "is 1 choice" if different == 1 else f"are {different} choices",
        )  # fmt: skip
    return min(config.subsets, different)


def _item_run(
    run: stages.Run,
    config: profiles.ByLabels | profiles.ByWidth,
    depth: int,
    width: int,
    part: profiles.Part,
    labels: int,
    seed: int,
) -> stages.Run:
    steps = math.ceil(labels * part.train_per_label / config.training.batch) * config.training.epochs
    longer = max(1.0, config.steps / steps)
    layers = depth - 3  # VGG counts three linear layers
    cuts = (*(cut for cut in config.heads.cuts if cut < layers), layers) if config.heads.cuts else ()
    return dataclasses.replace(
        run,
        profile=dataclasses.replace(
            _with_data(run, config),
            name=f"{run.profile.name}, VGG-{depth} d = {width}, {labels} labels (draw {part.draw}), "
            f"{part.train_per_label} images each, seed {seed}",
            seed=seed,
            part=part,
            network=profiles.Network("vgg", depth, width),
            training=stretched(config.training, longer),
            heads=dataclasses.replace(stretched(config.heads, longer), cuts=cuts),
            by_labels=None,
            by_width=None,
        ),
    )


def stretched(recipe: profiles.Recipe, longer: float) -> profiles.Recipe:
    """The recipe over more epochs: the learning rate falls to the same fraction in the end."""
    return dataclasses.replace(
        recipe,
        epochs=math.ceil(recipe.epochs * longer),
        factor=recipe.factor ** (1 / longer),
        warmup_epochs=recipe.warmup_epochs * longer,
    )


def _layers(run: stages.Run, labels: int) -> Iterator[dict]:
    profile = run.profile
    correct, measured = stages.measurement(run, "test").correct, stages.measurement(run)
    counts = counting.counts(run)
    for point in stages.flat_points(run):
        counted = counts[point.cut.layer]
        values, _ = statistics.resampled_quantities(counted, labels, 1, np.random.default_rng(0))
        accuracy = float(correct[point.name].double().mean())
        row = {"layer": point.cut.layer, "filters": point.cut.filters, "images": profile.part.train_per_label}
        row |= {"epochs": profile.training.epochs, "accuracy": accuracy, "error": 1 - accuracy}
        row |= {name: values[name] for name in ("N_c", "C_s", "n", "snr")}
        dprime = float(np.nanmean(measured.dprime[point.name].numpy()))
        yield row | {"covered": counted["covered"].mean(), "dprime": dprime}
