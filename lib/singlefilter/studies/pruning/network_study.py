"""Smaller networks, all retrained alike, as stages of their own; their states are kept, so they can be run later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from singlefilter import afcc, profiles
from singlefilter.networks import checkpoints
from singlefilter.pipeline import stages
from singlefilter.pipeline.tasks import Task
from singlefilter.studies.pruning import answers, designs, truncations
from singlefilter.studies.pruning.answers import AFTER, BEFORE
from singlefilter.studies.pruning.convolution_study import recipe_of
from singlefilter.studies.pruning.designs import Design

STATE = "network.safetensors"


@dataclass(frozen=True)
class NetworkSettings:
    """One smaller network and how all its weights are retrained; threshold: of the clusters it is made by."""

    design: Design
    threshold: float
    recipe: profiles.Recipe

    @property
    def title(self) -> str:
        return f"network {self.design.title}"


def tasks(run: stages.Run) -> dict[Design, Task]:
    """A task for each of `designs.designs`.  Raises as that."""
    recipe = recipe_of(run, run.profile.afcc.network_fraction)
    threshold = run.profile.analysis.threshold
    return {
        design: Task(
            "afcc-network",
            run,
            NetworkSettings(design, threshold, recipe),
            build,
            cost=3 * recipe.epochs * (design.budget or 1),
        )
        for design in designs.designs(run)
    }


def observations(run: stages.Run) -> tuple[pd.DataFrame, list[torch.Tensor]]:
    """A row for each network and moment, and its right answers on the test images, bool `[images]`.

    Columns: seed, design (its title), method, ours (1: cut or pruned by clusters, 0: dense or a baseline), cut (NaN:
    whole), budget (fraction of the dense network's multiply-adds; NaN: none), groups, compact (1 or 0), moment
    ("before" and "after" retraining of all weights), kept_fraction (of the dense network's parameters), parameters,
    multiply_adds (an image), file_bytes (of the state as safetensors); accuracy, low and high (Wilson), correct,
    images.  Source: section 8.
    """
    tables, right = [], []
    for design, task in tasks(run).items():
        folder = task.complete()
        table, of_design = answers.read(folder)
        own = {"seed": run.profile.seed, "design": design.title, "method": design.method, "ours": int(design.ours)}
        own |= {"cut": design.cut, "budget": design.budget, "groups": design.groups, "compact": int(design.compact)}
        tables.append(table.assign(**own, file_bytes=(folder / STATE).stat().st_size))
        right += of_design
    table = pd.concat([each.astype({"cut": float, "budget": float}) for each in tables], ignore_index=True)
    dense = table.loc[table["design"] == designs.DENSE, "parameters"].iloc[0]
    return table.assign(kept_fraction=table["parameters"] / dense), right


def retrained(run: stages.Run, design: Design) -> nn.Module:
    """A network after retraining, in eval mode, from the store; does the work where it is not there yet."""
    folder = tasks(run)[design].complete()
    return afcc.load_state(designs.made(run, design), folder / STATE).eval()


def build(run: stages.Run, settings: NetworkSettings, work: Path) -> None:
    """Make, measure, retrain and measure again one network."""
    network, split = designs.made(run, settings.design), stages.splits(run)
    cost = afcc.costs(network, truncations.black_image(run))
    counted = {"parameters": cost.parameters, "multiply_adds": cost.multiply_adds}
    before = answers.right_answers({BEFORE: network}, split["test"])
    checkpoint = work / "checkpoint.pt"
    curves = afcc.retrain(
        network, [""], {}, split["train"], settings.recipe,
        seed=run.profile.seed, checkpoint=checkpoint, deadline=run.deadline,
    )  # fmt: skip
    after = answers.right_answers({AFTER: network}, split["test"])
    curves.to_csv(work / "curves.csv", index=False)
    afcc.save_state(network, work / STATE)
    right = before | after
    answers.write(work, [counted | {"moment": moment} for moment in right], list(right.values()))
    checkpoints.remove(checkpoint)
