"""Notebook 00, its sheet and its key have the numbers that the library computes."""

import json
import re

import numpy as np

from singlefilter import afcc
from singlefilter.method import clusters, fields
from tests import by_hand


def prose() -> str:
    cells = json.loads(by_hand.NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def test_sheet_and_key_are_as_they_are_made():
    assert by_hand.SHEET.read_text(encoding="utf-8") == by_hand.sheet()
    assert by_hand.KEY.read_text(encoding="utf-8") == by_hand.key()


def test_the_sheet_gives_nothing_away_and_the_key_leaves_nothing_open():
    sheet, key = by_hand.sheet(), by_hand.key()
    assert by_hand.BLANK not in key and sheet.count(by_hand.BLANK) > 100
    found = sheet.split("## 1.")[1]
    assert not re.findall(r"\| −?\d", found)


def test_set_matrices_of_the_notebook_are_those_of_the_library():
    means, weights = by_hand.numbers()
    matrices = fields.field_matrices(means, weights)
    clipped = clusters.clip(matrices)
    mask = afcc.head_mask(clusters.find(clipped)).numpy()
    masked = fields.field_matrices(means, weights * mask[:, :, None]).sum(0)
    maps = [means[:, f].reshape(4, 2, 2) for f in range(2)] + [weights[:, f].reshape(4, 2, 2) for f in range(2)]
    expected = [one for of_filter in maps for one in of_filter]
    expected += [*matrices, matrices.sum(0), *clipped.astype(int), mask.astype(int), masked]
    written = [
        [[int(number) for number in row.split("&")] for row in block.split("\\\\")]
        for block in re.findall(r"\\begin\{pmatrix\}(.*?)\\end\{pmatrix\}", prose(), flags=re.DOTALL)
    ]
    assert len(written) == len(expected)
    for shown, computed in zip(written, expected, strict=True):
        np.testing.assert_array_equal(shown, computed)
