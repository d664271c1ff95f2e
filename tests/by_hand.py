"""The sheet to fill in with a pencil, and its key, from the numbers of notebook 00, by the library.

PYTHONPATH=lib python -m tests.by_hand     # writes docs/by_hand.md and docs/by_hand_key.md
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from singlefilter import afcc
from singlefilter.method import clusters, fields, statistics

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "00_by_hand.ipynb"
SHEET, KEY = ROOT / "docs" / "by_hand.md", ROOT / "docs" / "by_hand_key.md"
BLANK = "\\_\\_\\_"

_OF_SHEET = """\
# By hand: a sheet

Four labels, two filters, maps of 2 x 2 positions: from maps and weights to clusters and a pruned head, with a pencil.
Every step is explained in notebook [00](../notebooks/00_by_hand.ipynb), the words in the [glossary](glossary.md). The
[key](by_hand_key.md) has all numbers. An hour, about half of it for step 1."""
_OF_KEY = """\
# By hand: the key

The [sheet](by_hand.md), filled in. A test compares every number with what the library computes of the same maps and
weights."""


def numbers() -> tuple[np.ndarray, np.ndarray]:
    """Mean maps `[true_label, filters, positions]` and weights `[out_label, filters, positions]` of notebook 00."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    (cell,) = (cell for cell in cells if "numbers" in cell["metadata"].get("tags", []))
    given = {"np": np}
    exec("".join(cell["source"]), given)
    return given["means"], given["weights"]


def page(title: str, shown: Callable[[object], str]) -> str:
    """A page with the numbers that are given, and those to be found as `shown` writes them."""
    means, weights = numbers()
    matrices = fields.field_matrices(means, weights)
    clipped = clusters.clip(matrices)
    found = clusters.find(clipped)
    counted = statistics.count_filters(clipped, found)
    layer = statistics.layer_statistics(counted, labels=4, resamples=100)
    mask = afcc.head_mask(found).numpy()
    masked = fields.field_matrices(means, weights * mask[:, :, None]).sum(0)
    names = ("clusters", "labels covered", "ones in all", "ones inside squares", "of these off the diagonal", "noise")
    keys = ("clusters", "covered", "ones", "inside", "internal", "noise")
    of_layer = {"N_c": layer["N_c"], "C_s": layer["C_s"], "n": layer["n"], "S": layer["S"]}
    of_layer |= {"X": layer["X_internal"] + layer["X_external"], "SNR": layer["snr"]}
    labels = [f"label {label}" for label in range(4)]
    outputs = [f"output {label}" for label in range(4)]
    parts = [
        title,
        "## Given",
        "Mean maps, not negative, upper row of positions | lower row:",
        _table(["", "filter 0", "filter 1"], labels, [[_map(one) for one in row] for row in means]),
        "Weights of the head, in the same order:",
        _table(["", "filter 0", "filter 1"], outputs, [[_map(one) for one in row] for row in weights]),
        "## 1. Field matrices",
        "Map times weights, position by position, and added up; a row for each label, a column for each output.",
        *(_matrix(f"filter {f}", labels, outputs, matrices[f], shown) for f in range(2)),
        "## 2. Logits of the whole head",
        "The two matrices added. Which output wins in each row?",
        _matrix("both", labels, outputs, matrices.sum(0), shown),
        f"Answers to labels 0 to 3: {_listed(matrices.sum(0).argmax(1), shown)}; of filter 0 alone: "
        f"{_listed(matrices[0].argmax(1), shown)}; of filter 1 alone: {_listed(matrices[1].argmax(1), shown)}.",
        "## 3. Clip at 0.3",
        "A one where the element is strictly above 0.3 times the largest one of its matrix, which is "
        f"{shown(matrices[0].max())} for filter 0 and {shown(matrices[1].max())} for filter 1.",
        *(_matrix(f"filter {f}", labels, outputs, clipped[f].astype(int), shown) for f in range(2)),
        "## 4. Clusters",
        "Greedily, in ascending order of labels; a label without a one on the diagonal is in none.",
        "\n".join(f"- Filter {f}: {shown(_sets(found[f]))}" for f in range(2)),
        "## 5. Count",
        _table(
            ["", "filter 0", "filter 1"],
            names,
            [[shown(number) for number in counted[key]] for key in keys],
        ),
        _table(list(of_layer), None, [[shown(f"{value:g}") for value in of_layer.values()]]),
        "## 6. Prune",
        "AFCC keeps what leads from filter f to output j where label j is in a cluster of filter f.",
        _table(["kept", "filter 0", "filter 1"], outputs, [[shown(int(one)) for one in row] for row in mask]),
        f"Kept: {shown(int(mask.sum()))} of {mask.size}. The logits under the mask:",
        _matrix("masked", labels, outputs, masked, shown),
        f"Answers to labels 0 to 3: {_listed(masked.argmax(1), shown)}.",
    ]
    return "\n\n".join(parts) + "\n"


def sheet() -> str:
    return page(_OF_SHEET, lambda _: BLANK)


def key() -> str:
    return page(_OF_KEY, lambda number: str(number).replace("-", "−"))


def _map(positions: np.ndarray) -> str:
    upper, lower = (" ".join(map(str, row)).replace("-", "−") for row in positions.reshape(2, 2).tolist())
    return f"{upper} \\| {lower}"


def _matrix(
    corner: str, rows: Sequence[str], columns: Sequence[str], of: np.ndarray, shown: Callable[[object], str]
) -> str:
    return _table([corner, *columns], rows, [[shown(number) for number in row] for row in of.tolist()])


def _table(header: Sequence[str], names: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    named = [[name, *row] for name, row in zip(names, rows, strict=True)] if names else rows
    lines = [header, ["---"] * len(header), *named]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _listed(labels: np.ndarray, shown: Callable[[object], str]) -> str:
    return ", ".join(shown(label) for label in labels.tolist())


def _sets(of_filter: np.ndarray) -> str:
    members = ([str(label) for label in np.flatnonzero(of_filter == one)] for one in range(of_filter.max() + 1))
    return " and ".join("{" + ", ".join(labels) + "}" for labels in members)


if __name__ == "__main__":
    for path, text in ((SHEET, sheet()), (KEY, key())):
        path.write_text(text, encoding="utf-8")
        print(path)
