"""The figures of cost, which belong to a machine and to no profile: what they say.  Benchmarks make the tables."""

import pandas as pd

from singlefilter import drawing as look
from singlefilter.studies.cost import plan_charts, speed
from singlefilter.studies.declaration import Declaration, number


def _benchmarks_alt(table: pd.DataFrame) -> str:
    others = table[(table["way"] != "ours") & table["ratio"].notna()]
    between = f" The others take {number(others['ratio'].min())} to {number(others['ratio'].max())} times as long."
    return (
        "Horizontal bars, a row for each comparison: above, how many times our time another way takes, on a "
        "logarithmic axis; below, the part of the time or memory allowed that was needed. A black stroke is "
        f"the figure to reach.{between if len(others) else ''}"
    )


def _scaling_alt(table: pd.DataFrame) -> str:
    once = table.drop_duplicates(["task", "over"])
    said = ", ".join(f"{row.task} over {row.over} {number(row.exponent_seconds, 2)}" for row in once.itertuples())
    return (
        f"Two rows of panels on logarithmic axes: seconds above, peak memory below, against the number of "
        f"{look.listed(table['over'], ' or of ')}; a line for each task. Exponents of time: {said}."
    )


def _plan_note(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    measured = f"{first['pillow_per_second']:.0f} images a second decoded by a core"
    by_stage = table.groupby("stage", sort=False)["passes"].first()
    passes = ", ".join(f"{stage} {passes}" for stage, passes in by_stage.items())
    return (
        f"Measured: n = {measured} ({first['machine']}, load {first['load']:.1f}). Assumed: {first['assumed_gpu']}, "
        f"{100 * first['assumed_peak_fraction']:.0f}\u00a0% of its peak, "
        f"{100 * first['assumed_memory_fraction']:.0f}\u00a0% of its memory's speed, "
        f"disk {first['assumed_disk'] / 1e9:.0f} GB/s, passes: {passes}; what is under way at once overlaps."
    )


def _plan_alt(table: pd.DataFrame) -> str:
    hours = table.groupby(["gpus", "way"], sort=False)["gpu_hours"].sum()
    said = ", ".join(f"{gpus} with images {way} {number(value, 2)}" for (gpus, way), value in hours.items())
    return (
        "A panel for each number of GPUs and each way to the images, with hours along a logarithmic axis and a "
        "row for each stage; a mark for each resource, the rightmost of which is the bottleneck. GPU-hours in "
        f"all, by the number of GPUs: {said}."
    )


def _where(table: pd.DataFrame) -> str:
    return f"{look.listed(table['machine'], '; ')}, {look.listed(table['threads'])} threads."


def _benchmarks_note(table: pd.DataFrame) -> str:
    return f"{_where(table)} Medians; strokes: figures to reach; scaled: a part was timed and multiplied."


def _scaling_note(table: pd.DataFrame) -> str:
    return f"{_where(table)} Peak above what is held before; exponents: least squares on logarithms."


def _benchmarks_title(table: pd.DataFrame) -> str:
    aimed = table[table["met"].notna()]
    met = int((aimed["met"].astype(float) > 0).sum())
    return f"{met} of {len(aimed)} figures of speed and memory are reached"


def _plan_title(table: pd.DataFrame) -> str:
    hours = table.groupby(["gpus", "way"])["gpu_hours"].sum()
    return f"All of ImageNet: {hours.min():.0f} to {hours.max():.0f} GPU-hours, as planned and not measured"


FIGURES = (
    Declaration(
        name="benchmarks",
        title="Ours against other ways, each pair in one run",
        table=None,
        draw=speed.benchmarks,
        notebook=None,
        shows="How many times our time other ways take, and how much of what is allowed absolute figures take.",
        note=_benchmarks_note,
        alt=_benchmarks_alt,
        sees=_benchmarks_title,
    ),
    Declaration(
        name="scaling",
        title="How time and memory grow",
        table=None,
        draw=speed.scaling,
        notebook=None,
        shows="Time and peak memory of measuring, against the number of images, of filters and of labels.",
        note=_scaling_note,
        alt=_scaling_alt,
    ),
    Declaration(
        name="imagenet_plan",
        title="What all of ImageNet would cost: a plan, not a measurement",
        table=None,
        draw=plan_charts.imagenet_plan,
        notebook=None,
        shows="Hours that each resource would be busy in each stage, by the number of GPUs and way to the images.",
        note=_plan_note,
        alt=_plan_alt,
        sees=_plan_title,
    ),
)
