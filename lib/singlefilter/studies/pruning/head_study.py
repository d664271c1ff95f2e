"""Head AFCC at every cut, held against other masks that keep as much, right after masking and after retraining."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from singlefilter import afcc, data, profiles
from singlefilter.method import heads
from singlefilter.networks import checkpoints
from singlefilter.pipeline import stages
from singlefilter.pipeline.tasks import Task
from singlefilter.studies.pruning import answers, filters
from singlefilter.studies.pruning.answers import AFTER, BEFORE

log = logging.getLogger(__name__)

DENSE, AFCC, LEAK = "dense", "afcc", "afcc, clusters of test images"
MAGNITUDE, RANDOM, RANDOM_AFCC = "magnitude", "random", "random afcc"
METHODS = (DENSE, AFCC, LEAK, MAGNITUDE, RANDOM, RANDOM_AFCC)


@dataclass(frozen=True)
class HeadSettings:
    """Which heads, clipped at which thresholds (all of them at the last layer, the main one elsewhere), and how they
    are retrained."""

    layers: tuple[int, ...]
    threshold: float
    thresholds: tuple[float, ...]
    recipe: profiles.Heads

    @property
    def title(self) -> str:
        return "masked heads"


def task(run: stages.Run) -> Task:
    """The one task of a run.  Raises `ProfileError` for a layer without a head."""
    config, there = run.profile.afcc, filters.flat_points(run)
    layers = tuple(sorted(config.cuts or there))
    filters.points_of(run, layers, "afcc.cuts")
    threshold = run.profile.analysis.threshold
    thresholds = tuple(sorted({threshold, *config.thresholds}))
    recipe = afcc.shortened(run.profile.heads, config.head_fraction)
    return Task("afcc-heads", run, HeadSettings(layers, threshold, thresholds, recipe), build, cost=recipe.epochs * 2)


def observations(run: stages.Run) -> tuple[pd.DataFrame, list[torch.Tensor]]:
    """A row for each head and moment, and its right answers on the test images, bool `[images]`.

    Columns: seed, layer, filters, positions; method (one of `METHODS`), threshold (NaN: dense), moment ("before" and
    "after" retraining), kept (weights), weights, kept_fraction; accuracy, low and high (Wilson), correct, images.

    afcc: pairs of filter and label kept where the label is in a cluster of the filter on training images; the same
    from test images shows what that leak is worth.  At the same kept count: magnitude, the largest single weights;
    random, pairs at random; random afcc, as many labels a filter as AFCC keeps, from fresh weights.  Dense heads are
    retrained for the same epochs.  Source: section 8, head.
    """
    table, right = answers.read(task(run).complete())
    return table.assign(seed=run.profile.seed), right


def build(run: stages.Run, settings: HeadSettings, work: Path) -> None:
    """Mask, measure, retrain and measure again every head; all from one pass over the trunk."""
    model, split = stages.network(run)[0], stages.splits(run)
    rows, masked = zip(*_variants(run, settings), strict=True)
    named = {f"head{number}": head for number, head in enumerate(masked)}
    before = afcc.correct_answers(model, named, split["test"])
    checkpoint = work / "checkpoint.pt"
    trained, curves = afcc.retrain_heads(
        model, named, split["train"], settings.recipe,
        seed=run.profile.seed, checkpoint=checkpoint, deadline=run.deadline,
    )  # fmt: skip
    after = afcc.correct_answers(
        model,
        {name: afcc.MaskedHead(head.point, trained[name], head.mask) for name, head in named.items()},
        split["test"],
    )
    curves.to_csv(work / "curves.csv", index=False)
    moments = {BEFORE: before, AFTER: after}
    answers.write(
        work,
        [row | {"moment": moment} for moment in moments for row in rows],
        [right for of_moment in moments.values() for right in of_moment.values()],
    )
    checkpoints.remove(checkpoint)


def _variants(run: stages.Run, settings: HeadSettings) -> Iterator[tuple[dict, afcc.MaskedHead]]:
    """Every head of the study, with the columns that say which it is."""
    weights = stages.heads(run)[0]
    for layer in settings.layers:
        point = filters.flat_points(run)[layer]
        dense = weights[point.name]
        place = {"layer": layer, "filters": point.cut.filters, "positions": point.positions}
        thresholds = settings.thresholds if layer == settings.layers[-1] else (settings.threshold,)
        every = [(DENSE, None, afcc.MaskedHead(point, dense))]
        for threshold in thresholds:
            every += [(method, threshold, head) for method, head in _masked(run, point, dense, threshold)]
        for method, threshold, head in every:
            kept = dense.numel() if head.mask is None else _weights_kept(head)
            row = place | {"method": method, "threshold": threshold, "kept": kept, "weights": dense.numel()}
            yield row | {"kept_fraction": kept / dense.numel()}, head


def _masked(
    run: stages.Run, point: heads.HeadPoint, dense: torch.Tensor, threshold: float
) -> Iterator[tuple[str, afcc.MaskedHead]]:
    layer, labels = point.cut.layer, len(dense)
    by_method = {
        method: afcc.head_mask(filters.clusters_at(run, layer, threshold, split))
        for method, split in ((AFCC, "train"), (LEAK, "test"))
    }
    mask = by_method[AFCC]
    pairs, seed = int(mask.sum()), data.mix(run.profile.seed, layer, round(1000 * threshold))
    by_method[MAGNITUDE] = afcc.magnitude_mask(dense, pairs * point.positions)
    by_method[RANDOM] = afcc.random_mask(tuple(mask.shape), pairs, seed)
    by_method[RANDOM_AFCC] = afcc.random_afcc(mask.sum(0), labels, seed)
    for method, each in by_method.items():
        if not each.any():
            log.warning("layer %d: no filter has a cluster at threshold %g, left out: %s", layer, threshold, method)
            continue
        fresh = afcc.fresh_weights(each, point.positions, seed) if method == RANDOM_AFCC else dense
        yield method, afcc.MaskedHead(point, fresh, each)


def _weights_kept(head: afcc.MaskedHead) -> int:
    return int(head.mask.sum()) * (1 if head.mask.ndim == 3 else head.point.positions)
