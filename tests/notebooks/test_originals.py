"""Files that are no notebooks, or none that can be run: each named, with what to do."""

import json
import os

import pytest
from tests.notebooks.made_up import write

from singlefilter import notebooks


def changed(**fields):
    return lambda text: json.dumps(json.loads(text) | fields)


UNFIT = {
    "empty": (lambda text: "", "is empty"),
    "blank": (lambda text: " \n", "is empty"),
    "half": (lambda text: text[: len(text) // 2], r"(ends in the midst of it|is not JSON) \(line \d+: "),
    "no JSON": (lambda text: "# a notebook", r"is not JSON \(line 1: "),
    "a list": (lambda text: "[1]", "is JSON, but no notebook"),
    "an object": (lambda text: '{"cells": []}', "is JSON, but no notebook"),
    "no cells": (changed(cells={}), "it has no list of cells"),
    "cells of nothing": (changed(cells=[{}]), r"is no valid notebook \("),
    "cells of numbers": (changed(cells=[1]), r"is no valid notebook \("),
    "metadata of nothing": (changed(metadata=None), r"is no valid notebook \("),
    "old": (changed(nbformat=3, worksheets=[]), "is of the old notebook format 3 .`jupyter nbconvert"),
    "new": (changed(nbformat=5), "is of a notebook format that is not known here"),
    "odd": (changed(nbformat="4"), "is of a notebook format that is not known here"),
    "deep": (lambda text: "[" * 100_000, "is not"),
    "without parameters": (lambda text: text.replace('"parameters"', ""), "has no cells with the tag `parameters`"),
    "parameters twice": (
        lambda text: changed(cells=[{**cell, "id": name} for cell in json.loads(text)["cells"] for name in "ab"])(
            text
        ),
        "has 2 cells with the tag `parameters`",
    ),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_what_is_no_notebook_is_named(home, kind):
    path = write(home, "05_x")
    change, words = UNFIT[kind]
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(notebooks.Failed, match=words) as failed:
        notebooks.read(path)
    assert str(failed.value).startswith(str(path))
    assert "git checkout -- notebooks/05_x.ipynb" in str(failed.value) and len(str(failed.value)) < 700


def test_bytes_and_things_that_are_no_text(home):
    path = write(home, "05_x")
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(notebooks.Failed, match="byte 0 is no UTF-8"):
        notebooks.read(path)
    path.unlink()
    for make in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to("nowhere")):
        make()
        with pytest.raises(notebooks.Failed, match="05_x.ipynb is no file"):
            notebooks.read(path)
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_good_one_is_read_and_says_when_it_runs(home):
    path = write(home, "05_x", "a = 1\nb = 2", runs="alone")
    assert notebooks.about(path) == {"runs": "alone"}
    lists = json.loads(path.read_text(encoding="utf-8"))
    lists["cells"][1]["source"] = ["a = 1\n", "b = 2"]
    path.write_text(json.dumps(lists), encoding="utf-8")
    assert notebooks.read(path).cells[1].source == "a = 1\nb = 2"
