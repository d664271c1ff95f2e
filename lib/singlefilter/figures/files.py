"""Every figure by name: a tidy table in, a `matplotlib.figure.Figure` out; its files, and drawing them again.

A figure is three files of one name in one folder: the table (.csv) and its drawings (.png, .svg), drawn from
the table as read back from its file, so that drawing again later gives the same bytes.
"""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from singlefilter import store
from singlefilter.drawing import TableError, decode_png, encode_png, read_table, require, style
from singlefilter.studies.chance.charts import clusters_are_real
from singlefilter.studies.controls.charts import label_orders, seeds, splits, thresholds
from singlefilter.studies.cost.plan_charts import imagenet_plan
from singlefilter.studies.cost.speed import benchmarks, scaling
from singlefilter.studies.growth.charts import noise_by_width, statistics_by_labels, trends_by_labels
from singlefilter.studies.growth.error_charts import error_by_labels, laws_of_error
from singlefilter.studies.layers.charts import accuracy_by_layer, claims, curves, statistics_by_layer
from singlefilter.studies.layers.pictures import cluster_images, one_filter, samples
from singlefilter.studies.pruning.charts import masked_convolutions, masked_heads, masked_heads_by_width, truncation
from singlefilter.studies.pruning.pareto_charts import smaller_networks
from singlefilter.studies.recipes.charts import recipes

__all__ = ["FIGURES", "TableError", "decode_png", "encode_png", "publish", "read_table", "redraw"]

FIGURES: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "samples": samples,
    "curves": curves,
    "recipes": recipes,
    "accuracy_by_layer": accuracy_by_layer,
    "one_filter": one_filter,
    "cluster_images": cluster_images,
    "statistics_by_layer": statistics_by_layer,
    "thresholds": thresholds,
    "label_orders": label_orders,
    "clusters_are_real": clusters_are_real,
    "splits": splits,
    "seeds": seeds,
    "error_by_labels": error_by_labels,
    "laws_of_error": laws_of_error,
    "statistics_by_labels": statistics_by_labels,
    "trends_by_labels": trends_by_labels,
    "noise_by_width": noise_by_width,
    "masked_heads": masked_heads,
    "masked_heads_by_width": masked_heads_by_width,
    "masked_convolutions": masked_convolutions,
    "truncation": truncation,
    "smaller_networks": smaller_networks,
    "claims": claims,
}
# These belong to no profile.
OF_A_MACHINE = {"benchmarks": benchmarks, "scaling": scaling, "imagenet_plan": imagenet_plan}


def publish(name: str, table: pd.DataFrame, folder: Path | str) -> Figure:
    """Write `folder/name.csv`, `.png` (200 dpi) and `.svg`; the figure, drawn from the written table.

    Each file is replaced as a whole or not at all. Raises `TableError` (a `ValueError`) for an unknown name
    and for a table without rows or without a column that the figure needs, nothing being written then, and
    `OSError` where a file cannot be written.
    """
    draw = _figure(name)
    require(table, draw.columns, f"The table of figure '{name}'")
    path = Path(folder) / f"{name}.csv"
    _write(path, _as_csv(table))
    return _draw(path)[0]


def redraw(folder: Path | str, names: Iterable[str] | None = None) -> list[Path]:
    """Draw the figures of a folder again from their tables alone; the paths of the drawings written.

    `names` chooses figures; left out, every .csv of the folder is drawn. Raises `TableError` for a name
    or a table that is no figure's and for a table that is not there, before anything is drawn.
    """
    folder = Path(folder)
    there = sorted(path.stem for path in folder.glob("*.csv"))
    if not there:
        raise TableError(f"No tables (.csv) to draw from in {folder}. Run a profile first; it writes them.")
    chosen = there if names is None else list(names)
    for name in chosen:
        _figure(name)
        if name not in there:
            raise TableError(f"No table {folder / name}.csv. Tables in this folder: {', '.join(there)}.")
    return [path for name in chosen for path in _draw(folder / f"{name}.csv")[1]]


def _figure(name: str) -> Callable[[pd.DataFrame], Figure]:
    known = FIGURES | OF_A_MACHINE
    if name not in known:
        raise TableError(f"There is no figure '{name}'. Figures: {', '.join(known)}.")
    return known[name]


def _draw(path: Path) -> tuple[Figure, list[Path]]:
    draw = _figure(path.stem)
    table = read_table(path)
    require(table, draw.columns, str(path))
    fig = draw(table)
    # No dates and no versions in the files: the same table gives the same bytes.
    without = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}
    for ending, metadata in without.items():
        drawing = io.BytesIO()
        with style():
            fig.savefig(drawing, format=ending[1:], dpi=200, metadata=metadata)
        _write(path.with_suffix(ending), drawing.getvalue())
    return fig, [path.with_suffix(ending) for ending in without]


def _as_csv(table: pd.DataFrame) -> bytes:
    flags = {column: int for column in table.columns if table[column].dtype == bool}
    return table.astype(flags).to_csv(index=False, lineterminator="\n").encode("utf-8")


def _write(path: Path, content: bytes) -> None:
    with store.atomic_file(path) as temporary:
        temporary.write_bytes(content)
