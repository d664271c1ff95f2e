"""The figure of recipes held against each other: what makes it, and what it says."""

import pandas as pd

from singlefilter import drawing as look
from singlefilter.studies.declaration import Declaration, number
from singlefilter.studies.recipes import charts, tables


def _note(table: pd.DataFrame) -> str:
    held_out, test = (look.listed(f"{count:,}" for count in table[name]) for name in ("images", "test_images"))
    return (
        f"n = {held_out} held-out and {test} test images, one training each; "
        "bars: 95 % intervals over images; times: of training on all training images."
    )


def _alt(table: pd.DataFrame) -> str:
    best = table.loc[table["chosen"].idxmax()]
    return (
        f"A row for each of {len(table)} recipes with two points and their bars, the accuracy on held-out and "
        "on test images in percent along the horizontal axis. The chosen recipe is called "
        f"{look.spoken(best['recipe'])}, with {number(100 * best['accuracy'])} % on held-out and "
        f"{number(100 * best['test_accuracy'])} % on test images."
    )


def _title(table: pd.DataFrame) -> str:
    best = table.loc[table["chosen"].idxmax()]
    return f"The chosen recipe reaches {number(100 * best['test_accuracy'])}\u00a0% on test images"


FIGURES = (
    Declaration(
        name="recipes",
        title="Recipes, and which one was chosen",
        table=tables.table,
        draw=charts.recipes,
        notebook="02",
        groups=("choice",),
        shows="Accuracy after the last epoch of each recipe, on held-out images, which choose, and on test images.",
        note=_note,
        alt=_alt,
        sees=_title,
    ),
)
