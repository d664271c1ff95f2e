"""Every figure: by name, in its files, and in packs for another machine.

`registry` gathers what the studies declare: of each figure what makes its table, what draws it, and what it says in
words; `files` writes it, or draws it again from its table; `publishing` does so for a run, with its provenance, one
figure (`show`) or all of a profile; `packing` puts them, and what they are drawn from, into a few small files.
"""

from singlefilter.drawing import TableError
from singlefilter.figures.files import redraw
from singlefilter.figures.publishing import folder, preview, show
from singlefilter.figures.registry import FIGURES, figure
from singlefilter.tablefiles import read_table

__all__ = ["FIGURES", "TableError", "figure", "folder", "preview", "read_table", "redraw", "show"]
