"""The method as a schematic, eight steps in reading order: no result, but clusters found by the library's own code.

Its field matrix is made up (`planted`), with three groups of labels that belong together; clip, clusters and order
are those of `method.clusters`, so what the last three panels show is what the method does to such a matrix.
`figures.method` writes it.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, FancyBboxPatch, Rectangle

from singlefilter import drawing as look
from singlefilter.method import clusters
from singlefilter.studies.layers.pictures import CLUSTERS, NOISE

LABELS = 12
SIZE = 8.6, 5.02  # inches, both rows with their words
WIDE, HIGH = 1.9, 1.42  # inches of a panel
LEFT, PITCH, TOP, DROP = 0.12, 2.08, 0.42, 2.5  # inches: first panel, to the next one, and to the next row

TRAINED, FROZEN, HEAD, OFF = look.BLUE, (0.75, 0.86, 0.93), look.ORANGE, "0.86"
LAYERS = ((0.5, 5.4), (1.7, 4.6), (2.9, 3.6), (4.3, 2.6), (5.7, 1.6))  # left edge and height of each
THICK = 0.8
CUT = 3  # layers in the trunk
MAPS = (1.0, 2.55, 4.1, 5.65)  # lower edges of the maps at the cut, in units of a panel that is 7.6 high
CHOSEN = 2  # of these maps
OUTPUTS = np.linspace(0.75, 6.85, 6)

STEPS = (
    ("Train", "The whole network learns\nto tell K labels apart."),
    ("Cut", "Keep the first m layers,\nthe trunk; drop the rest."),
    ("Freeze", "Nothing in the trunk\nchanges from here on."),
    ("Head", "One linear layer, trained\non the maps at the cut."),
    ("Silence", "Keep the head's weights of\none filter, zero all others."),
    ("Field matrix", "Mean of each output over the\nimages of each true label."),
    ("Clip", "Ones: above 0.3, where the\nlargest element is 1."),
    ("Clusters", "Labels reordered: squares of\nones; what is left is noise."),
)


def planted(seed: int = 5) -> np.ndarray:
    """A made-up field matrix, float64 `[1, true_label, out_label]`: three groups of labels, noise, weak fields."""
    random = np.random.default_rng(seed)
    field = random.normal(-0.02, 0.13, (LABELS, LABELS))
    for group in ((0, 3, 7, 10), (2, 5, 8), (4, 11)):
        field[np.ix_(group, group)] = random.uniform(0.45, 1.0, (len(group), len(group)))
    for true, out in ((1, 7), (6, 3), (9, 5), (3, 8), (10, 1), (6, 10)):
        field[true, out] = random.uniform(0.36, 0.6)
    return field[None]


def procedure() -> Figure:
    """The schematic: train, cut, freeze, head; silence all but one filter, field matrix, clip, clusters.

    Source: sections 1 to 5 of the method.
    """
    field = planted()
    clipped = clusters.clip(field)
    found = clusters.find(clipped)
    with look.style():
        fig = look.Drawing(figsize=SIZE)
        panels = [_panel(fig, number, *words) for number, words in enumerate(STEPS)]
        for ax, draw in zip(panels[:5], (_train, _cut, _freeze, _head, _silence), strict=True):
            ax.set(xlim=(0, 10.17), ylim=(0, 7.6))
            draw(ax)
        _field(panels[5], field[0] / field[0].max())
        _clip(panels[6], clipped[0])
        _clusters(panels[7], clipped[0], found[0])
        fig.draw_without_rendering()  # makes the texts while the style is in force
    return fig


def _panel(fig: Figure, number: int, name: str, words: str) -> Axes:
    """Bare axes of a step with its number and name above, its sentence below."""
    width, height = SIZE
    row, column = divmod(number, 4)
    left, top = LEFT + PITCH * column, TOP + DROP * row
    inside, below = 0.2 * (number > 4), 0.27 if row else 0.09  # room for the names of a matrix' axes
    place = ((left + inside) / width, 1 - (top + HIGH) / height, (WIDE - inside) / width, HIGH / height)
    ax = fig.add_axes(place)
    ax.set_axis_off()
    at = {"ha": "left", "color": look.INK}
    badge = {"boxstyle": "circle,pad=0.22", "facecolor": look.INK, "edgecolor": "none"}
    head = 1 - (top - 0.2) / height
    fig.text((left + 0.1) / width, head, number + 1, ha="center", va="center", fontsize=9, color="w", bbox=badge)
    fig.text((left + 0.29) / width, head, name, va="center", fontsize=12, fontweight="bold", **at)
    fig.text(left / width, 1 - (top + HIGH + below) / height, words, va="top", fontsize=9, linespacing=1.3, **at)
    return ax


def _block(ax: Axes, left: float, high: float, **look_of: object) -> None:
    shape = {"boxstyle": "round,pad=0,rounding_size=0.18", "linewidth": 0}
    ax.add_patch(FancyBboxPatch((left, 3.8 - high / 2), THICK, high, **shape | look_of))


def _outputs(ax: Axes, x: float, colour: object) -> None:
    ax.scatter(np.full(len(OUTPUTS), x), OUTPUTS, s=26, color=colour, linewidth=0, zorder=3)


def _lines(ax: Axes, x: float, y: float, to: float, colour: object, width: float) -> None:
    for output in OUTPUTS:
        ax.plot([x, to], [y, output], color=colour, linewidth=width, solid_capstyle="round", zorder=2)


def _train(ax: Axes) -> None:
    for left, high in LAYERS:
        _block(ax, left, high, facecolor=TRAINED)
    _lines(ax, LAYERS[-1][0] + THICK, 3.8, 8.6, TRAINED, 0.7)
    _outputs(ax, 8.6, TRAINED)
    ax.text(9.15, OUTPUTS[-1], "1", fontsize=9, va="center", color=look.INK)
    ax.text(9.15, OUTPUTS[0], "K", fontsize=9, va="center", color=look.INK)


def _cut(ax: Axes) -> None:
    for left, high in LAYERS[:CUT]:
        _block(ax, left, high, facecolor=TRAINED)
    for left, high in LAYERS[CUT:]:
        _block(ax, left, high, facecolor="none", edgecolor="0.6", linewidth=1, linestyle=(0, (2, 2)))
    x = (LAYERS[CUT - 1][0] + THICK + LAYERS[CUT][0]) / 2
    ax.plot([x, x], [0.4, 7.2], color=look.VERMILION, linewidth=2, linestyle=(0, (3, 1.6)))
    ax.text(x + 0.3, 6.75, "after layer m", fontsize=9, va="center", color=look.VERMILION)


def _freeze(ax: Axes) -> None:
    _trunk(ax)
    x, y = 6.6, 3.3  # a padlock
    ax.add_patch(Arc((x, y + 1.0), 1.5, 2.3, theta1=0, theta2=180, linewidth=3, color="0.4"))
    ax.add_patch(FancyBboxPatch((x - 1.1, y - 0.9), 2.2, 1.9, boxstyle="round,pad=0,rounding_size=0.2", color="0.4"))
    ax.scatter([x], [y + 0.1], s=26, color="w", linewidth=0, zorder=3)


def _trunk(ax: Axes) -> None:
    for left, high in LAYERS[:CUT]:
        _block(ax, left, high, facecolor=FROZEN, edgecolor=TRAINED, linewidth=0.8)


def _head(ax: Axes, only: int | None = None) -> None:
    """The trunk, the maps of its last layer's filters, and the head's weights; `only` one filter's if it is named."""
    _trunk(ax)
    for number, y in enumerate(MAPS):
        on = only in (None, number)
        edge = {"edgecolor": TRAINED if on else "0.7", "linewidth": 0.8}
        ax.add_patch(Rectangle((4.7, y), 1.15, 1.15, facecolor=FROZEN if on else OFF, zorder=3, **edge))
        if on:
            _lines(ax, 5.85, y + 0.57, 8.9, HEAD, 0.9 if only is None else 1.8)
    _outputs(ax, 8.9, HEAD)


def _silence(ax: Axes) -> None:
    _head(ax, only=CHOSEN)


def _matrix_axes(ax: Axes) -> None:
    ax.set_axis_on()
    ax.set(anchor="SW", xticks=[], yticks=[])
    ax.set_xlabel("output unit", fontsize=8.5, labelpad=2)
    ax.set_ylabel("true label", fontsize=8.5, labelpad=3)


def _field(ax: Axes, relative: np.ndarray) -> None:
    ax.imshow(relative, cmap="vlag", vmin=-1, vmax=1, interpolation="none")
    _matrix_axes(ax)
    for place, value in enumerate((1.0, 0.65, 0.3, 0.0, -0.3)):  # a scale of five tones, large enough to read
        colour = look.sns.color_palette("vlag", as_cmap=True)((value + 1) / 2)
        tone = {"facecolor": colour, "edgecolor": "0.6", "linewidth": 0.5, "clip_on": False}
        ax.add_patch(Rectangle((12.3, 0.2 + 1.5 * place), 1.1, 1.5, **tone))
    for place, words in ((0, "1"), (2, "0.3"), (3, "0")):
        ax.text(13.7, 0.95 + 1.5 * place, words, fontsize=8, va="center", color=look.INK)


def _clip(ax: Axes, clipped: np.ndarray) -> None:
    ax.imshow(clipped, cmap="Greys", vmin=0, vmax=1.15, interpolation="none")
    _matrix_axes(ax)
    ax.plot([-0.5, LABELS - 0.5], [-0.5, LABELS - 0.5], color=look.ORANGE, linewidth=1)
    ax.text(11.8, LABELS - 1, "right\nlabel", fontsize=8, va="center", color="#9A6200", linespacing=1.1)


def _clusters(ax: Axes, clipped: np.ndarray, found: np.ndarray) -> None:
    """Labels in cluster order; ones inside the square of a cluster in its colour, the others in grey."""
    order = clusters.display_order(found[None])[0]
    member, ones = found[order], clipped[np.ix_(order, order)]
    image = np.ones((LABELS, LABELS, 3))
    image[ones] = NOISE
    for cluster in dict.fromkeys(member[member >= 0]):
        inside = member == cluster
        image[np.ix_(inside, inside)] = CLUSTERS[cluster]
        size, place = int(inside.sum()), np.flatnonzero(inside).mean()
        words = f"{size} label{'s' * (size > 1)}"
        ax.text(11.9, place, words, fontsize=8, va="center", color=look.INK)
    ax.text(11.9, LABELS - 2.5, "noise", fontsize=8, va="center", color=NOISE)
    ax.imshow(image, interpolation="none")
    _matrix_axes(ax)
