"""All figures by name, as the studies declare them, in the order in which notebooks show them.

Who adds a figure declares it in the `figures` of a study and shows it in a notebook; nothing else lists it.
"""

from __future__ import annotations

from singlefilter.drawing import TableError
from singlefilter.pipeline import stages
from singlefilter.pipeline.tasks import Task
from singlefilter.studies.chance import figures as of_chance
from singlefilter.studies.chance import tables as chance
from singlefilter.studies.controls import figures as of_controls
from singlefilter.studies.controls import tables as controls
from singlefilter.studies.cost import figures as of_cost
from singlefilter.studies.declaration import Declaration
from singlefilter.studies.geometry import figures as of_geometry
from singlefilter.studies.geometry import tables as geometry
from singlefilter.studies.growth import figures as of_growth
from singlefilter.studies.growth import frozen, series
from singlefilter.studies.layers import figures as of_layers
from singlefilter.studies.own import figures as of_own
from singlefilter.studies.own import tables as own
from singlefilter.studies.pruning import figures as of_pruning
from singlefilter.studies.pruning import study
from singlefilter.studies.pruning import tables as pruning
from singlefilter.studies.recipes import figures as of_recipes
from singlefilter.studies.recipes import tables as choice
from singlefilter.studies.scoreboard import figures as of_all
from singlefilter.studies.transformer import figures as of_transformer
from singlefilter.studies.transformer import tables as transformer

STUDIES = (
    *(of_layers, of_own, of_recipes, of_chance, of_geometry, of_controls),
    *(of_growth, of_pruning, of_transformer, of_all),
)

FIGURES: dict[str, Declaration] = {
    declared.name: declared
    for declared in sorted((one for study_ in STUDIES for one in study_.FIGURES), key=lambda one: one.notebook)
}
OF_A_MACHINE: dict[str, Declaration] = {declared.name: declared for declared in of_cost.FIGURES}  # and of no profile


def figure(name: str) -> Declaration:
    """What is declared of a figure, of a profile's or of a machine's; raises `TableError` for another name."""
    known = FIGURES | OF_A_MACHINE
    if name not in known:
        raise TableError(f"There is no figure '{name}'. Figures: {', '.join(known)}.")
    return known[name]


def networks(run: stages.Run) -> list[stages.Run]:
    """Every network that the notebooks of a profile need, with each set of heads that they need on it."""
    return [*trained(run), *_inside(run)]


def trained(run: stages.Run) -> list[stages.Run]:
    """Every network that has to be trained for the notebooks of a profile: its own, its controls, the choice of a
    recipe, its transformer, and those of its series."""
    seeds = [controls.with_seed(run, seed) for seed in run.profile.controls.seeds]
    untrained = [chance.untrained(run)] if run.profile.controls.untrained else []
    items = series.by_labels(run) if run.profile.by_labels else []
    items += series.by_width(run) if run.profile.by_width else []
    pruned = study.seeded(run) if run.profile.afcc else []
    beside = [*choice.networks(run), *transformer.networks(run)]
    return [run, *seeds, *untrained, *beside, *pruned, *(item.run for item in items)]


def tasks(run: stages.Run) -> list[stages.Run | Task]:
    """Everything else that the notebooks of a profile need, on top of networks that are trained: other heads on them,
    what is pruned and retrained, heads on a frozen network, and what its own classifier answers."""
    return [*_inside(run), *pruning.tasks(run), *frozen.tasks(run), *own.tasks(run)]


def _inside(run: stages.Run) -> list[stages.Run]:
    return [other] if (other := geometry.unpooled(run)) is not None else []
