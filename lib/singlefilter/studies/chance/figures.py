"""The figure of clusters beside those of null models: what makes it, and what it says."""

import pandas as pd

from singlefilter import drawing as look
from singlefilter.studies.chance import charts, tables
from singlefilter.studies.declaration import Declaration, counted, course, span


def _note(table: pd.DataFrame) -> str:
    trunk = "Untrained trunk: under trained heads. " if (table["model"] == "untrained trunk").any() else ""
    return (
        f"n = {span(table['filters'])} filters a layer, training images; d′: {span(table['images'])} "
        f"test images. Bands: 95 % intervals; chance models: {table['draws'].max()} draws. {trunk}Marks: 95 % "
        f"interval of found − null, each layer on its own. Last row: which nulls both {look.C_S} and share are above."
    )


def _alt(table: pd.DataFrame) -> str:
    verdicts = table.drop_duplicates("layer")["verdict"].value_counts()
    counts = ", ".join(f"{verdict} in {count} layers" for verdict, count in verdicts.items())
    found = table[table["model"] == "found"]
    return (
        "Above, a grid with layers across and a row for each quantity and null model: blue where what was found is "
        "above the null model, grey where the two are not told apart, red where it is below. Under it six panels of "
        "lines with layers along the horizontal axis, one line for what was found and one for each null model. "
        f"The verdict on both sizes is: {counts}. Labels per cluster, as found, go {course(found, 'C_s')}."
    )


def _title(table: pd.DataFrame) -> str:
    verdicts = table.drop_duplicates("layer")["verdict"]
    chance, every = verdicts.ne(tables.VERDICTS[2]).sum(), verdicts.eq(tables.VERDICTS[0]).sum()
    if not (table["model"] == tables.UNTRAINED).any():
        return f"Clusters are more than chance in {chance} of {counted(len(verdicts), 'layer')}"
    untrained = f"above an untrained network in {every or 'none'}"
    return f"Clusters above chance in {chance} of {counted(len(verdicts), 'layer')}, {untrained}"


FIGURES = (
    Declaration(
        name="clusters_are_real",
        title="Are the clusters real?",
        table=tables.clusters_are_real,
        draw=charts.clusters_are_real,
        notebook="05b",
        shows="Whether the clusters that were found are above those of each null model, layer by layer.",
        note=_note,
        alt=_alt,
        sees=_title,
    ),
)
