"""Really smaller networks: which ones, by which rules, made from a trained network and what its filters recognise."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import itertools
import logging
from dataclasses import dataclass

import torch
from torch import nn

from singlefilter import afcc, networks
from singlefilter.pipeline import stages
from singlefilter.studies.pruning import filters, truncations

log = logging.getLogger(__name__)

BASELINES = ("l1", "random", "group norm")  # ways to choose filters that know nothing of clusters
DENSE = "dense"


@dataclass(frozen=True)
class Design:
    """How a smaller network is made; retraining is the same for all.

    cut: truncated behind this layer, with the head trained there (None: whole, with its own classifier); compact:
    that head as the rows that AFCC keeps; rule: which filters stay, those highest by one of
    `profiles.FILTER_SCORES` or by one of `BASELINES`, the same fraction of every layer, as many as cost `budget` of
    the dense network's multiply-adds; groups: convolutions from layer `first` on as that many groups, with `hubs`
    filters that all groups read.
    """

    cut: int | None = None
    compact: bool = False
    rule: str | None = None
    budget: float | None = None
    groups: int = 1
    first: int | None = None
    hubs: int = 0

    @property
    def title(self) -> str:
        """A name of its own, such as `cut 7, margin 0.25`; the network as it is: `dense`."""
        parts = [f"cut {self.cut}"] if self.cut else []
        parts += ["compact head"] if self.compact else []
        parts += [f"{self.rule} {self.budget:g}"] if self.rule else []
        parts += [f"{self.groups} groups"] if self.groups > 1 else []
        return ", ".join(parts) or DENSE

    @property
    def method(self) -> str:
        """What is smaller about it: `dense`, `truncated`, `groups`, a score or a baseline, `truncated, ...`."""
        parts = ["truncated"] if self.cut else []
        parts += ["compact head"] if self.compact else []
        parts += [self.rule] if self.rule else []
        parts += ["groups"] if self.groups > 1 else []
        return ", ".join(parts) or DENSE

    @property
    def ours(self) -> bool:
        """Whether clusters or cuts alone decide what is left out, so that it may speak for claim C11."""
        return self != Design() and self.rule not in BASELINES


def designs(run: stages.Run) -> list[Design]:
    """Every network of the profile's group `afcc`, dense first.  Raises `ProfileError` for a layer without a head.

    A rule is left out where a truncated network fits in the budget by itself, filters at random where it is
    truncated, and the group norm where torch-pruning is not installed.
    """
    config = run.profile.afcc
    filters.points_of(run, config.truncations, "afcc.truncations")
    rules = (*config.scores, *BASELINES)
    if importlib.util.find_spec("torch_pruning") is None:
        log.info("torch-pruning is not installed, so there are no networks pruned by its group norm")
        rules = rules[:-1]
    cuts, first = (None, *config.truncations), min(config.first_layers)
    made = [Design(cut) for cut in cuts] + [Design(cut, compact=True) for cut in config.truncations]
    for cut, groups in itertools.product(cuts, config.groups):
        if cut is None or cut > first:
            made.append(Design(cut, groups=groups, first=first, hubs=config.hubs))
    costs = {cut: _multiply_adds(run, cut) for cut in cuts}
    for cut, budget, rule in itertools.product(cuts, config.budgets, rules):
        if costs[cut] > budget * costs[None] and (cut is None or rule != "random"):
            made.append(Design(cut, rule=rule, budget=budget))
    return made


def made(run: stages.Run, design: Design) -> nn.Module:
    """The network of a design, its weights as they were before any retraining; in eval mode.

    Raises as the functions of `afcc`: `ChainError`, `CutThrough`, `MaskError`; `ImportError` without torch-pruning.
    """
    model = stages.network(run)[0]
    image, seed = truncations.black_image(run), run.profile.seed
    budget = int((design.budget or 1) * afcc.costs(model, image).multiply_adds)
    points = {layer: point for layer, point in filters.flat_points(run).items() if layer <= (design.cut or layer)}
    prefix = ""
    if design.cut:
        model, prefix = _truncated(run, design, model), "trunk."
    modules = {layer: prefix + point.cut.module for layer, point in points.items()}
    if design.groups > 1:
        found = {name: _clusters(run, layer) for layer, name in modules.items() if layer >= design.first}
        model = afcc.group_convolutions(model, found, design.groups, design.hubs, seed=seed)
    elif design.rule == "l1":
        model = afcc.by_l1(model, list(modules.values()), image, budget)
    elif design.rule == "random":
        model = afcc.at_random(model, list(modules.values()), image, budget, seed)
    elif design.rule == "group norm":
        model = afcc.by_group_norm(model, list(modules.values()), image, budget)
    elif design.rule:
        scores = {name: filters.scores_at(run, layer, design.rule) for layer, name in modules.items()}
        model = afcc.by_score(model, scores, image, budget)
    if design.compact:
        last = model.get_submodule(afcc.convolution_in(model, modules[design.cut]))
        model.head = afcc.compacted(model.head, last.out_channels)
    return model.eval()


def _truncated(run: stages.Run, design: Design, model: nn.Module) -> nn.Module:
    point = filters.flat_points(run)[design.cut]
    weights = stages.heads(run)[0][point.name]
    if design.compact:
        weights = weights * afcc.head_mask(_clusters(run, design.cut))[:, :, None]
    return afcc.truncate(model, point, weights)


def _clusters(run: stages.Run, layer: int) -> torch.Tensor:
    return filters.clusters_at(run, layer, run.profile.analysis.threshold)


@functools.lru_cache(maxsize=64)
def _multiply_adds(run: stages.Run, cut: int | None) -> int:
    """What a truncated network costs, or the whole one, told without training it."""
    profile = run.profile
    labels = profile.part.labels or len(stages.all_labels(run))
    config = dataclasses.replace(profile.network, weights=None)
    model = networks.build(config, labels, profile.data.image_size, profile.seed)
    if cut is not None:
        point = filters.flat_points(run)[cut]
        model = afcc.truncate(model, point, torch.zeros(labels, point.cut.filters, point.positions))
    return afcc.costs(model, truncations.black_image(run)).multiply_adds
