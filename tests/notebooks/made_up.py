"""Notebooks made of a few lines, in a project of their own."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def write(home: Path, name: str, *cells: str, **about: str) -> Path:
    """A notebook of the project at `home`, a cell of parameters before these, `about` in its metadata; its path."""
    path = home / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    parameters = new_code_cell('profile = "none"\ndata_dir = ""', metadata={"tags": ["parameters"]})
    metadata = KERNEL | ({"singlefilter": about} if about else {})
    made = new_notebook(cells=[parameters, *map(new_code_cell, cells)], metadata=metadata)
    nbformat.write(made, path)
    return path
