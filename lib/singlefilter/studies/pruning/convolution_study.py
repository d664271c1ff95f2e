"""Convolutions pruned by shared labels: one pair of layers, several pairs, all deep ones, against other masks."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from singlefilter import afcc, data, networks, profiles
from singlefilter.afcc.truncation import upto
from singlefilter.networks import checkpoints
from singlefilter.pipeline import stages
from singlefilter.pipeline.tasks import Task
from singlefilter.studies.pruning import answers, filters, tails
from singlefilter.studies.pruning.answers import AFTER, BEFORE

log = logging.getLogger(__name__)

DENSE, AFCC, MAGNITUDE, RANDOM = METHODS = ("dense", "afcc", "magnitude", "random")


@dataclass(frozen=True)
class ConvolutionSettings:
    """The layers from `first` to `last`, how many labels two filters have to share, and how they are retrained."""

    first: int
    last: int
    threshold: float
    overlaps: tuple[int, ...]
    recipe: profiles.Recipe

    @property
    def title(self) -> str:
        return f"masked convolutions of layers {self.first} to {self.last}"


def recipe_of(run: stages.Run, fraction: float) -> profiles.Recipe:
    """The network's recipe in a fraction of its epochs, from the learning rate of retraining."""
    short = afcc.shortened(run.profile.training, fraction)
    return dataclasses.replace(short, learning_rate=run.profile.afcc.learning_rate)


def tasks(run: stages.Run) -> list[Task]:
    """A task for each of the profile's `first_layers`.

    Raises `ProfileError` where clusters of a layer are missing, or a first layer is not in front of the last.
    """
    config, last = run.profile.afcc, max(filters.flat_points(run))
    made = []
    for first in config.first_layers:
        if first >= last:
            raise profiles.ProfileError(
                f"profile {run.profile.name}: afcc.first_layers: {first} given, the last layer is {last}, and a pair "
                "begins in front of it"
            )
        layers = tuple(range(first, last + 1))
        filters.points_of(run, layers, "afcc.first_layers")
        recipe = recipe_of(run, config.convolution_fraction)
        settings = ConvolutionSettings(first, last, run.profile.analysis.threshold, config.overlaps, recipe)
        cost = recipe.epochs * (1 + len(config.overlaps) * len(layers))
        made.append(Task("afcc-convolutions", run, settings, build, cost))
    return made


def observations(run: stages.Run) -> tuple[pd.DataFrame, list[torch.Tensor]]:
    """A row for each variant and moment, and its right answers on the test images, bool `[images]`.

    Columns: seed, first_layer and last_layer (of the chain; the layers behind the first are masked), pairs; method
    (one of `METHODS`), overlap (labels that two filters have to share; NaN: dense), moment ("before" and "after"
    retraining of the layers of the chain), kept and kernels (of the masked layers), kept_fraction; accuracy, low and
    high (Wilson), correct, images.

    magnitude keeps the kernels of largest L1 norm, random any, as many in each layer as AFCC; dense is retrained
    alike.  A variant that would cut a layer through is left out.  Source: section 8, convolution.
    """
    read = [answers.read(task.complete()) for task in tasks(run)]
    table = pd.concat([of_chain for of_chain, _ in read], ignore_index=True).assign(seed=run.profile.seed)
    return table, [right for _, of_chain in read for right in of_chain]


def build(run: stages.Run, settings: ConvolutionSettings, work: Path) -> None:
    """Mask, measure, retrain and measure again every variant; all from one pass through the layers in front."""
    model, split = stages.network(run)[0], stages.splits(run)
    layers = range(settings.first, settings.last + 1)
    modules = [filters.flat_points(run)[layer].cut.module for layer in layers]
    cuts = networks.cut_points(model, run.profile.data.image_size)
    in_front = cuts[settings.first - 2].module  # layers count from 1
    rows, masks = _variants(run, settings, model, modules)
    front, variants = upto(model, in_front), tails.masked_tails(model, in_front, masks)
    before = answers.right_answers(dict(variants.items()), split["test"], front)
    checkpoint = work / "checkpoint.pt"
    curves = tails.retrain_tails(
        front, variants, masks, modules, split["train"], settings.recipe,
        seed=run.profile.seed, checkpoint=checkpoint, deadline=run.deadline,
    )  # fmt: skip
    after = answers.right_answers(dict(variants.items()), split["test"], front)
    curves.to_csv(work / "curves.csv", index=False)
    moments = {BEFORE: before, AFTER: after}
    answers.write(
        work,
        [rows[name] | {"moment": moment} for moment in moments for name in rows],
        [of_moment[name] for of_moment in moments.values() for name in rows],
    )
    checkpoints.remove(checkpoint)


def _variants(
    run: stages.Run, settings: ConvolutionSettings, model: nn.Module, modules: list[str]
) -> tuple[dict[str, dict], dict[str, dict[str, torch.Tensor]]]:
    """Columns and masks of every variant, by names of their own."""
    layers = range(settings.first, settings.last + 1)
    found = {
        module: filters.clusters_at(run, layer, settings.threshold)
        for module, layer in zip(modules, layers, strict=True)
    }
    masked = [afcc.convolution_in(model, module) for module in modules[1:]]
    kernels = sum(model.get_submodule(name).weight[:, :, 0, 0].numel() for name in masked)
    place = {"first_layer": settings.first, "last_layer": settings.last, "pairs": len(masked)}
    whole = {"method": DENSE, "overlap": None, "kept": kernels, "kernels": kernels, "kept_fraction": 1.0}
    rows, masks = {DENSE: place | whole}, {DENSE: {}}
    for overlap in settings.overlaps:
        try:
            shared = afcc.prune(model, found, overlap=overlap).masks
        except afcc.CutThrough as error:
            log.warning("layers %d to %d, overlap %d: left out: %s", settings.first, settings.last, overlap, error)
            continue
        kept = sum(int(mask.sum()) for mask in shared.values())
        counted = {"overlap": overlap, "kept": kept, "kernels": kernels, "kept_fraction": kept / kernels}
        for method, of_method in _as_many(model, shared, data.mix(run.profile.seed, settings.first, overlap)).items():
            name = f"{method}{overlap}"
            rows[name], masks[name] = place | {"method": method} | counted, of_method
    return rows, masks


def _as_many(model: nn.Module, shared: dict[str, torch.Tensor], seed: int) -> dict[str, dict[str, torch.Tensor]]:
    """AFCC's masks, and others that keep as many kernels in each layer, by the method."""
    every = {AFCC: shared, MAGNITUDE: {}, RANDOM: {}}
    for number, (layer, mask) in enumerate(shared.items()):
        kept = int(mask.sum())
        every[MAGNITUDE][layer] = afcc.magnitude_mask(afcc.kernel_norms(model.get_submodule(layer).weight), kept)
        every[RANDOM][layer] = afcc.random_mask(tuple(mask.shape), kept, data.mix(seed, number))
    return every
