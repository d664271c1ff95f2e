"""The figures about layers: what makes them, and what they say."""

import pandas as pd

from singlefilter import drawing as look
from singlefilter.studies.declaration import Declaration, counted, course, number, peak, span
from singlefilter.studies.layers import charts, pictures, summary_figures, tables

_KINDS = summary_figures.KINDS


def _samples_note(table: pd.DataFrame) -> str:
    counts = ", ".join(f"n = {len(rows)} in ({name})" for name, rows in pictures.there(table))
    absent = pictures.missing(table)
    without = f" Not on this machine: {', '.join(absent)}." if absent else ""
    return f"Images as they are stored, magnified (large ones scaled down); {counts}.{without}"


def _samples_alt(table: pd.DataFrame) -> str:
    rows = [f"({name}) {panel['title'].iloc[0]}, {len(panel)} images" for name, panel in pictures.there(table)]
    return f"Rows of small images, one row for each data set, each image with its label below it: {'; '.join(rows)}."


def _curves_note(table: pd.DataFrame) -> str:
    minutes = table.drop_duplicates("epoch")["seconds"].sum() / 60
    epochs = table["epoch"].nunique()
    return f"One run, n = {epochs} epochs, {minutes:.1f} minutes. Train: augmented images, while learning."


def _curves_alt(table: pd.DataFrame) -> str:
    accuracy = table[table["accuracy"].notna()].sort_values("epoch")
    ends = [
        f"{number(100 * rows['accuracy'].iloc[-1])} % on {_KINDS[split]} images"
        for split, rows in accuracy.groupby("split", sort=False)
    ]
    reached = f" Accuracy ends at {' and '.join(ends)}." if ends else ""
    return (
        "Three panels above each other with epochs along the horizontal axis: accuracy in percent, cross-entropy in "
        f"nats, and the learning rate. Solid lines are training images, dashed ones test images.{reached}"
    )


def _accuracy_note(table: pd.DataFrame) -> str:
    return (
        f"n = {span(table['n'])} test images a point; bars: 95\u00a0% intervals. Depth and the size of "
        "a flat head change together (lower panel); pooled heads grow with the number of filters alone."
    )


def _accuracy_alt(table: pd.DataFrame) -> str:
    heads = [
        f"The accuracy of {head} heads goes {course(rows, 'accuracy', percent=True)}."
        for head, rows in table.groupby("head", sort=False)
    ]
    return (
        "Two panels with the layer of the cut along the horizontal axis: test accuracy in percent above, the number "
        f"of inputs of the head on a logarithmic axis below. {' '.join(heads)}"
    )


def _one_filter_note(table: pd.DataFrame) -> str:
    filters = table.groupby(["cut", "filter"]).ngroups
    size = int(table["true_index"].max()) + 1
    labels = int(table["labels"].iloc[0]) if "labels" in table else size
    shown = f", the first {size} of them in cluster order" if labels > size else ""
    return (
        f"n = {filters} filter{'s' * (filters > 1)}, K = {labels} labels{shown}. Colours: ones inside the "
        "square of a cluster; dark grey: noise, the ones outside every square. Order: largest cluster first, "
        "labels in no cluster last."
    )


def _one_filter_alt(table: pd.DataFrame) -> str:
    found = []
    for (layer, which), rows in table.groupby(["layer", "filter"], sort=False):
        clusters = rows.loc[rows["cluster"] >= 0, "cluster"].nunique()
        noise = int(((rows["clipped"] == 1) & (rows["cluster"] < 0)).sum())
        has = f"{counted(clusters, 'cluster')} and {counted(noise, 'element')} of noise"
        found.append(f"Filter {which} of layer {layer} has {has}.")
    return (
        "A row of four panels for each filter: three square matrices with true labels downwards and output units "
        "across, which are the fields from blue over white to red, the black elements above the threshold, and these "
        "in cluster order with a coloured square around each cluster; then a list of the labels of every cluster. "
        + " ".join(found)
    )


def _cluster_images_note(table: pd.DataFrame) -> str:
    groups = table.groupby(["cut", "filter", "cluster"])
    shown = int(groups.size().clip(upper=pictures.IMAGES).sum())
    note = f"n = {shown} images, at most {pictures.IMAGES} a row, those of every label first."
    if "clusters" in table:
        found = table.loc[table["cluster"] >= 0, "cluster"].nunique()
        note += f" The {found} largest of {table['clusters'].iloc[0]} clusters."
    return note


def _cluster_images_alt(table: pd.DataFrame) -> str:
    sizes = table[table["cluster"] >= 0].drop_duplicates(["cut", "filter", "cluster"])["labels"]
    most = f", the largest of {counted(sizes.max(), 'label')}" if len(sizes) else ""
    return (
        "Rows of small test images, one row for each cluster of a filter and a last one for labels in no cluster, "
        f"each image with its label below it. Shown: {counted(len(sizes), 'cluster')}{most}."
    )


def _statistics_note(table: pd.DataFrame) -> str:
    by_split = table.groupby("split", sort=False)["images"]
    images = " and ".join(f"{span(counts)} {split}" for split, counts in by_split)
    return (
        f"n = {span(table['filters'])} filters a layer, {images} images. Bands: 95\u00a0% intervals. "
        "S: filters that support the right label; X: those that support a wrong one, internal because it shares a "
        "cluster with the right one, external by ones outside every cluster."
    )


def _statistics_alt(table: pd.DataFrame) -> str:
    split = table["split"].iloc[0]
    rows = table[table["split"] == split]
    return (
        "Six panels of lines with layers along the horizontal axis: clusters per filter, labels per cluster "
        "and noise per filter in the upper row, SNR, its noise and field SNR in the lower one. Solid lines are "
        f"training images, dashed ones test images. On {_KINDS[split]} images clusters per filter go "
        f"{course(rows, 'N_c')}, labels per cluster {course(rows, 'C_s')}, noise {course(rows, 'n')} and SNR "
        f"{course(rows, 'snr')}."
    )


def _curves_title(table: pd.DataFrame) -> str:
    test = table[(table["split"] == "test") & table["accuracy"].notna()].sort_values("epoch")
    if test.empty:
        return f"Training for {counted(table['epoch'].nunique(), 'epoch')}"
    last = test.iloc[-1]
    return f"Accuracy on test images is {100 * last['accuracy']:.1f}\u00a0% after {counted(last['epoch'], 'epoch')}"


def _accuracy_title(table: pd.DataFrame) -> str:
    return f"Accuracy of the head {peak(_flat(table), 'accuracy')}"


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["head"] == table["head"].iloc[0]]


def _one_filter_title(table: pd.DataFrame) -> str:
    sizes = _of_clusters(table)
    if sizes.empty:
        return "Filters without a cluster"
    return f"Single filters recognise clusters of up to {counted(sizes.max(), 'label')}"


def _of_clusters(table: pd.DataFrame) -> pd.Series:
    """How many labels each cluster of a table of elements has."""
    diagonal = table[(table["true_index"] == table["out_index"]) & (table["cluster"] >= 0)]
    return diagonal.groupby(["cut", "filter", "cluster"]).size()


def _cluster_images_title(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    sizes = table[table["cluster"] >= 0].drop_duplicates("cluster")["labels"]
    found = int(table["clusters"].iloc[0]) if "clusters" in table else len(sizes)
    most = f", the largest of {counted(sizes.max(), 'label')}" if len(sizes) > 1 else ""
    most = most or (f" of {counted(sizes.max(), 'label')}" if len(sizes) else "")
    return f"Filter {first['filter']} of layer {first['layer']} has {counted(found, 'cluster')}{most}"


def _statistics_title(table: pd.DataFrame) -> str:
    rows = table[table["split"] == table["split"].iloc[0]]
    return f"SNR {peak(summary_figures.finite(rows, 'snr'), 'snr')}; noise per filter {peak(rows, 'n')}"


FIGURES = (
    Declaration(
        name="samples",
        title="What the networks look at",
        table=tables.samples,
        draw=pictures.samples,
        notebook="01",
        shows="Eight images with different labels of each data set.",
        note=_samples_note,
        alt=_samples_alt,
    ),
    Declaration(
        name="curves",
        title="Training the whole network",
        table=tables.curves,
        draw=charts.curves,
        notebook="02",
        groups=("training",),
        shows="Accuracy and loss of the whole network by epoch, on training and test images; the learning rate.",
        note=_curves_note,
        alt=_curves_alt,
        sees=_curves_title,
        across=1,
    ),
    Declaration(
        name="accuracy_by_layer",
        title="Accuracy of a head on the frozen first layers",
        table=tables.accuracy_by_layer,
        draw=charts.accuracy_by_layer,
        notebook="03",
        shows="Test accuracy of a linear head on the frozen layers before a cut, for every cut.",
        note=_accuracy_note,
        alt=_accuracy_alt,
        sees=_accuracy_title,
        across=1,
    ),
    Declaration(
        name="one_filter",
        title="From the fields of a single filter to its clusters",
        table=tables.one_filter,
        draw=pictures.one_filter,
        notebook="04",
        shows="The field matrix of a filter, what is above the threshold, and the labels in the order of clusters.",
        note=_one_filter_note,
        alt=_one_filter_alt,
        sees=_one_filter_title,
    ),
    Declaration(
        name="cluster_images",
        title="What the clusters of a filter stand for",
        table=tables.cluster_images,
        draw=pictures.cluster_images,
        notebook="04",
        shows="Test images of the labels in each cluster of a filter, and of labels that are in none.",
        note=_cluster_images_note,
        alt=_cluster_images_alt,
        sees=_cluster_images_title,
    ),
    Declaration(
        name="statistics_by_layer",
        title="Clusters, noise and signal-to-noise ratio by layer",
        table=tables.statistics_by_layer,
        draw=charts.statistics_by_layer,
        notebook="05",
        shows=f"Clusters per filter {look.N_C}, labels per cluster {look.C_S}, noise, SNR and field SNR by layer.",
        note=_statistics_note,
        alt=_statistics_alt,
        sees=_statistics_title,
    ),
    *summary_figures.FIGURES,
)
