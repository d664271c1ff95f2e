"""Which recipe trains the network best? Chosen on training images held out, so that test images have no say.

Every recipe trains two networks: one without the held-out images, which judge it, and one on all training images,
whose test accuracy nothing was chosen by. In both the last epoch counts.
"""

from __future__ import annotations

import dataclasses

import pandas as pd

from singlefilter import profiles
from singlefilter.drawing import ENDS
from singlefilter.method import statistics
from singlefilter.pipeline import stages


def runs(run: stages.Run) -> dict[str, tuple[stages.Run, stages.Run]]:
    """By the name of each recipe, the profile's own first: its run without the held-out images, and on all.

    The own recipe on all images is the run itself. Raises `ProfileError` when the profile has no group `choice`.
    """
    profile, config = run.profile, profiles.group(run.profile, "choice")
    without = dataclasses.replace(profile.part, held_out=config.held_out)
    recipes = {profiles.OWN: profile.training} | dict(config.recipes)
    return {
        name: (
            _trained(run, f"{name} recipe, {without.held_out} of each label held out", recipe, without),
            run if name == profiles.OWN else _trained(run, f"{name} recipe", recipe, profile.part),
        )
        for name, recipe in recipes.items()
    }


def networks(run: stages.Run) -> list[stages.Run]:
    """Every network that the choice of a profile needs, none where it has no group `choice`."""
    return [one for pair in runs(run).values() for one in pair] if run.profile.choice else []


def provenance(run: stages.Run) -> dict[str, dict]:
    """Where the networks of the choice come from: `stages.summary`; empty without a group `choice`."""
    return {"choice": stages.summary(networks(run))} if run.profile.choice else {}


def table(run: stages.Run) -> pd.DataFrame:
    """A row for every recipe, the profile's own first; what is not trained yet is trained now.

    `accuracy`: after the last epoch, on the `images` that were held out; `chosen`: 1 for the recipe with the highest,
    the first of several. `test_accuracy`: of the network that the recipe makes of all training images, on
    `test_images`. Both with Wilson's interval. `seconds`: of all epochs of the latter network. Raises `ProfileError`
    when the profile has no group `choice`, `DataError` when a label has too few images.
    """
    rows = []
    for name, (judged, whole) in runs(run).items():
        curves = stages.curves(whole)
        row = {"recipe": name, "epochs": whole.profile.training.epochs}
        row |= _last_epoch("accuracy", "images", judged) | _last_epoch("test_accuracy", "test_images", whole)
        rows.append(row | {"seconds": round(curves.drop_duplicates("epoch")["seconds"].sum(), 3)})
    found = pd.DataFrame(rows)
    return found.assign(chosen=(found.index == found["accuracy"].idxmax()).astype(int))


def _trained(run: stages.Run, name: str, recipe: profiles.Recipe, part: profiles.Part) -> stages.Run:
    """The run with another recipe, known by its training alone.

    What does all stages of it trains one small head of one epoch, which nobody looks at.
    """
    profile = run.profile
    last = stages.points(run)[-1].cut.layer
    changed = {
        "name": f"{profile.name}, {name}",
        "training": recipe,
        "part": part,
        "heads": dataclasses.replace(profile.heads, epochs=1, cuts=(last,), kinds=("flat",), views=0),
        "analysis": dataclasses.replace(profile.analysis, splits=("train",)),
    }
    return dataclasses.replace(run, profile=dataclasses.replace(profile, choice=None, **changed))


def _last_epoch(name: str, images: str, run: stages.Run) -> dict[str, float]:
    """Accuracy after the last epoch on the split that stands for the test, its interval, and how many images."""
    curves = stages.curves(run)
    accuracy = curves[curves["split"] == "test"].sort_values("epoch")["accuracy"].iloc[-1]
    there = len(stages.splits(run)["test"])
    interval = statistics.proportion_interval(round(accuracy * there), there)
    return {f"{name}{end}": float(value) for end, value in zip(ENDS, interval, strict=True)} | {images: there}
