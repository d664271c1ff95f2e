"""Benchmarks of training: heads together, outputs of the trunk kept, and an epoch against a DataLoader."""

from __future__ import annotations

import dataclasses
import os

from benchmarks import naive, peers
from benchmarks.cases import Sizes, setting
from benchmarks.table import OURS, compare
from benchmarks.timing import Way, in_turn, quietly
from benchmarks.ways import NAIVE, PEER, ROUNDING, difference

from singlefilter import data, profiles
from singlefilter.method import features, heads
from singlefilter.networks import training


def train_heads(sizes: Sizes) -> list[dict]:
    """An epoch of the heads on 13 cuts: together from one pass of the trunk against one after the other."""
    case = setting(sizes.width, sizes.labels, sizes.images_of_naive, ("flat",))
    recipe = profiles.Heads(epochs=1, batch=min(100, len(case.split)), kinds=("flat",))
    ways = [
        Way(OURS, lambda: heads.fit(case.model, case.points, case.split, recipe, seed=1)[0]),
        Way(NAIVE, lambda: naive.heads_one_by_one(case.model.features, case.points, case.split, recipe, seed=1)),
    ]
    timed = in_turn(ways, sizes.rounds_of_naive)
    agreement = max(difference(*(timed[way].result[p.name] for way in (OURS, NAIVE))) for p in case.points)
    return compare(
        "heads", "13 flat heads, one epoch", timed, {NAIVE: agreement}, 10 * ROUNDING, {NAIVE: 4},
        images=len(case.split), filters=case.filters, labels=sizes.labels, note="naive: one head at a time",
    )  # fmt: skip


def views(sizes: Sizes) -> list[dict]:
    """Four epochs of the heads with the trunk's outputs kept, against computing them anew in every epoch.

    The two agree where nothing is random: on whole batches of un-augmented images.
    """
    case = setting(sizes.width, sizes.labels, min(1000, sizes.images_of_naive))
    recipe = profiles.Heads(epochs=4, batch=min(100, len(case.split)))
    ways = [
        Way(name, lambda kept=kept: heads.fit(case.model, case.points, case.split,
                                              dataclasses.replace(recipe, views=kept), seed=1))
        for name, kept in ((OURS, 1), ("views off", 0))
    ]  # fmt: skip
    timed = in_turn(ways, sizes.rounds_of_naive)
    whole = dataclasses.replace(recipe, batch=len(case.split), shift=0, flip=False)
    kept, anew = (
        quietly(lambda number=number: heads.fit(case.model, case.points, case.split,
                                                dataclasses.replace(whole, views=number), seed=1)[0])
        for number in (1, 0)
    )  # fmt: skip
    agreement = {"views off": max(difference(kept[point.name], anew[point.name]) for point in case.points)}
    kept_mb = features.kept_bytes([point.fan_in for point in case.points], case.split, 1) / 1e6
    return compare(
        "views", "heads, 4 epochs, outputs kept", timed, agreement, 10 * ROUNDING, {}, images=len(case.split),
        filters=case.filters, labels=sizes.labels, note=f"one view of the trunk's outputs takes {kept_mb:.0f} MB",
    )  # fmt: skip


def train(sizes: Sizes) -> list[dict]:
    """An epoch of training against a DataLoader with PIL transforms: same network, batch and optimizer."""
    case = setting(sizes.width, sizes.labels, sizes.images)
    few = data.Split(case.split.images[::50], case.split.labels[::50], case.split.names)
    recipe = profiles.Recipe(epochs=1, batch=min(100, len(case.split)), learning_rate=0.01)
    workers = workers_for(2)

    def ours() -> None:
        training.fit(setting(sizes.width, sizes.labels, 1).model, case.split, few, recipe, seed=1)

    def loader() -> None:
        model = setting(sizes.width, sizes.labels, 1).model
        peers.train_epoch(model, case.split, recipe, workers)
        training.evaluate(model, few)

    small = dataclasses.replace(case.split, images=case.split.images[:100], labels=case.split.labels[:100])
    timed = in_turn([Way(OURS, ours), Way(PEER, loader)], sizes.rounds_of_naive)
    agreement = {PEER: difference(data.to_input(small.images), peers.inputs(small))}
    return compare(
        "train", "one epoch, batch 100", timed, agreement, 1e-5, {PEER: 1.3}, images=len(case.split),
        labels=sizes.labels, note=f"peer: DataLoader, {workers} workers, PIL; agreement of un-augmented inputs",
    )  # fmt: skip


def workers_for(wanted: int) -> int:
    """So many workers of a DataLoader, or as many as there are cores, which is said."""
    cores = os.cpu_count() or 1
    if wanted > cores:
        print(f"{wanted} workers were asked for; there are {cores} cores, so {cores} are started", flush=True)
    return min(wanted, cores)
