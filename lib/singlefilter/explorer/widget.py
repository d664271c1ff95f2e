"""A filter to play with: choose layer, filter and threshold; see its matrix, its clusters and their names.

Where nobody can move a slider, in a notebook that papermill runs, the static figure takes the widgets' place.
"""

from __future__ import annotations

import base64
import dataclasses
import html

import ipywidgets
import pandas as pd
from ipywidgets import Layout
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from singlefilter import drawing, figures, progress
from singlefilter.analysis import Result
from singlefilter.explorer import layers, picture
from singlefilter.pipeline import stages
from singlefilter.studies.layers import pictures, tables

SORTS = {"most clusters": "clusters", "most covered labels": "covered", "most noise": "noise", "number": "filter"}
LISTED = 500  # filters, more than which no list is long enough to be read
_BELOW = "215px"  # the height of what stands below the picture, which scrolls where there is more


def filter_figure(source: stages.Run | Result, layer: int | str, filter_: int, threshold: float) -> Figure:
    """The figure of one filter, from field matrix to clusters, at a threshold of one's own.

    layer: its number in a run, the place of a cut in a result.  Raises `ValueError` for a layer or a filter that is
    not there, or a threshold outside (0, 1).  Source: sections 3 to 5.
    """
    if isinstance(source, Result):
        return source.at_threshold(threshold)[layer].filter(filter_).plot()
    analysis = dataclasses.replace(source.profile.analysis, threshold=threshold)
    turned = dataclasses.replace(source, profile=dataclasses.replace(source.profile, analysis=analysis))
    return figures.preview(turned, "one_filter", tables.one_filter(turned, (layer,), filter_))


def explore(source: stages.Run | Result) -> Explorer | Figure:
    """Sliders for layer, filter and threshold over the picture of a filter, buttons and a list to find one by; the
    static figure alone where nobody watches.

    source: a run of a profile, or what `analyze` returns.  The filter that is shown first is the one worth seeing in
    the last layer.  Raises `TypeError` for another source.
    """
    explored = layers.of(source)
    last = list(explored.layers)[-1]
    first = tables.worth_seeing(layers.survey(explored.layers[last], explored.threshold)[0])
    if not progress.is_watched():
        return filter_figure(source, last, first, explored.threshold)
    return Explorer(explored, last, first)


class Shown(ipywidgets.Image):
    """The one picture of an explorer, of fixed size, which every change replaces."""

    @property
    def outputs(self) -> tuple[dict, ...]:
        """What is seen at this moment, as a notebook writes outputs down: one image."""
        png = base64.b64encode(self.value).decode("ascii")
        return ({"output_type": "display_data", "data": {"image/png": png}, "metadata": {}},)


class Explorer(ipywidgets.Box):
    """Controls, the picture `out`, the list of a layer's filters, and the names of the clusters of the one shown.

    Whatever is moved, the picture is drawn once.
    """

    def __init__(self, explored: layers.Explored, layer: int | str, filter_: int) -> None:
        self._explored, self._picture = explored, picture.Picture(explored.names)
        self._settling = False  # while controls follow each other, nothing is drawn
        self._make_controls(layer, filter_)
        size = {
            "width": str(picture.WIDTH),
            "height": str(picture.HEIGHT),
        }  # known to the page before there is a picture
        self.out = Shown(format="png", **size, layout=Layout(max_width="100%", height="auto", flex="0 0 auto"))
        self._names = ipywidgets.HTML(
            layout=Layout(flex="1 1 400px", height=_BELOW, overflow="auto", margin="4px 0 0 16px")
        )
        self._found = ipywidgets.HTML(layout=Layout(width="auto", margin="0 2px"))
        found = [ipywidgets.HBox([self.sort, self.search]), self._found, self.list]
        below = [
            ipywidgets.VBox(found, layout=Layout(flex="1 1 380px", height=_BELOW, overflow="hidden")),
            self._names,
        ]
        source = ipywidgets.HTML(_small(html.escape(explored.source)), layout=Layout(width="100%", margin="0"))
        buttons = ipywidgets.HBox([ipywidgets.HTML("show the filter that is"), *self.buttons.values()])
        buttons.layout = Layout(width="100%", flex_flow="row wrap")
        super().__init__(
            [self.layer, self.filter, self.threshold, buttons, self.out, *below, source],
            layout=Layout(
                display="flex",
                flex_flow="row wrap",
                align_items="center",
                width="100%",
                max_width=f"{picture.WIDTH + 16}px",
            ),
        )
        self._draw()
        for control in (self.layer, self.filter, self.threshold, self.sort, self.search, self.list):
            control.observe(self._changed, "value")

    def _make_controls(self, layer: int | str, filter_: int) -> None:
        wide = Layout(flex="1 1 250px", width="auto", min_width="220px")
        style = {"description_width": "64px"}
        threshold, filters = self._explored.threshold, self._explored.layers[layer].filters
        keys = [(str(key), key) for key in self._explored.layers]
        self.layer = ipywidgets.SelectionSlider(
            options=keys, value=layer, description="layer", layout=wide, style=style, continuous_update=False
        )
        self.filter = ipywidgets.IntSlider(filter_, 0, filters - 1, description="filter", layout=wide, style=style)
        self.threshold = ipywidgets.FloatSlider(
            threshold, min=min(0.1, threshold), max=max(0.9, threshold), step=0.01, readout_format=".2f",
            description="threshold", layout=wide, style=style, continuous_update=False,
        )  # fmt: skip
        self.buttons = {}
        for name, about in (
            ("typical", "in the middle of this layer: in clusters, covered labels and noise"),
            ("best", "that with the largest clusters"),
            ("most noise", "that with the most ones outside every cluster"),
            ("none", "the first without any cluster"),
        ):
            self.buttons[name] = ipywidgets.Button(description=name, tooltip=about, layout=Layout(width="auto"))
            self.buttons[name].on_click(lambda button: self._go_to(button.description))
        half = {"layout": Layout(flex="1 1 0", width="auto", min_width="0"), "style": {"description_width": "32px"}}
        self.sort = ipywidgets.Dropdown(options=SORTS, description="sort", **half)
        self.search = ipywidgets.Combobox(
            options=sorted(dict.fromkeys(map(drawing.spoken, self._explored.names))), placeholder="a label's name",
            description="label", **half,
        )  # fmt: skip
        self.list = ipywidgets.Select(options=(), rows=9, layout=Layout(width="auto", margin="2px"))

    def _changed(self, change: dict) -> None:
        if self._settling:
            return
        if change["owner"] is self.list:
            if change["new"] is not None:
                self.filter.value = change["new"]
            return
        self._settling = True
        try:
            self.filter.max = self._layer.filters - 1  # a filter beyond the last becomes the last
        finally:
            self._settling = False
        self._draw(picture_too=change["owner"] not in (self.sort, self.search))

    @property
    def _layer(self) -> layers.Layer:
        return self._explored.layers[self.layer.value]

    def _draw(self, *, picture_too: bool = True) -> None:
        if picture_too:  # and first: the list may wait
            seen = layers.see(self._layer, self.filter.value, self.threshold.value)
            title = f"{self._layer.name}, filter {self.filter.value}, threshold {self.threshold.value:g}"
            self.out.value = self._picture.draw(seen, title, self.threshold.value)
            self._names.value = _clusters(seen, self._explored.names, self._picture.size)
        counted, found = layers.survey(self._layer, self.threshold.value)
        self.buttons["none"].disabled = bool((counted["clusters"] > 0).all())
        self._list(counted, found)

    def _list(self, counted: pd.DataFrame, found) -> None:
        """Put the filters that the search asks for into the list, in the order that is asked for."""
        asked, names = self.search.value.strip(), self._explored.names
        said = f"{len(counted)} filters in this layer"
        if asked:
            meant = layers.matching(names, asked)
            counted = counted[(found[:, meant] >= 0).any(axis=1)]
            said = f"{len(counted)} of {len(found)} filters have {_named(meant, names)} in a cluster"
            said = said if meant else f"no label has “{asked}” in its name"
        column = SORTS[self.sort.label]
        rows = counted.sort_values(column, ascending=column == "filter", kind="stable").head(LISTED)
        said += f"; the first {LISTED} are listed" if len(counted) > LISTED else ""
        options = [
            (
                f"filter {row.filter}: {_count(row.clusters, 'cluster')}, {_count(row.covered, 'label')}, "
                f"noise {row.noise}",
                row.filter,
            )
            for row in rows.itertuples()
        ]
        self._settling = True
        try:
            if self.list.options != tuple(options):
                self.list.options = tuple(options)
            there = self.filter.value in rows["filter"].to_numpy()
            self.list.value = self.filter.value if there else None
        finally:
            self._settling = False
        self._found.value = _small(html.escape(said))

    def _go_to(self, which: str) -> None:
        """Show the filter of this layer that a button names."""
        counted, _ = layers.survey(self._layer, self.threshold.value)
        if which == "typical":
            self.filter.value = layers.typical(counted)
        elif which == "best":
            self.filter.value = tables.worth_seeing(counted)
        elif which == "most noise":
            self.filter.value = int(counted["filter"].iloc[counted["noise"].argmax()])
        elif not (without := counted[counted["clusters"] == 0]).empty:
            self.filter.value = int(without["filter"].iloc[0])

    def _repr_mimebundle_(self, **kwargs) -> dict | None:
        """The widgets, and for whoever shows the notebook without them the picture of this moment."""
        bundle = super()._repr_mimebundle_(**kwargs)
        return bundle | self.out.outputs[0]["data"] if bundle else bundle


def _clusters(seen: layers.Seen, names: tuple[str, ...], shown: int) -> str:
    """The labels of each cluster beside its colour, and the noise, as HTML."""
    members = seen.members
    between = ", " if max(map(len, names)) > 1 else " "  # a comma may be a label
    rows = []
    for number, labels in members.items():
        words = between.join(html.escape(drawing.spoken(names[label])) for label in labels)
        colour = pictures.CLUSTERS[number % len(pictures.CLUSTERS)]
        rows.append(f"{_square(colour)} <b>cluster {number}</b>, {_count(len(labels), 'label')}: {words}")
    covered = sum(map(len, members.values()))
    count = _count(len(members), "cluster") if members else "no cluster"
    head = f"<b>{count}</b>, {covered} of {_count(len(names), 'label')} in one"
    if shown < len(names):
        head += f" (in the matrices: the first {shown} in cluster order)"
    rows.append(f"{_square(pictures.NOISE)} <b>noise</b>: {seen.noise} ones outside every cluster")
    return f'<div style="line-height: 1.4">{head}' + "".join(f"<div>{row}</div>" for row in rows) + "</div>"


def _square(colour: tuple[float, float, float]) -> str:
    return f'<span style="color: {to_hex(colour)}">■</span>'


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _named(labels: list[int], names: tuple[str, ...]) -> str:
    said = ", ".join(drawing.spoken(names[label]) for label in labels[:3])
    return said + (f" or others ({len(labels)} labels)" if len(labels) > 3 else "")


def _small(text: str) -> str:
    return f'<div style="line-height: 1.4; font-size: 12px">{text}</div>'
