"""Every figure: by name, in its files, and in packs for another machine.

`files` knows how each is drawn, and writes it or draws it again from its table; `publishing` does so for a run, with
its provenance; `registry` says what makes each table, and publishes all figures of a profile; `packing` puts them,
and what they are drawn from, into a few small files.
"""

from singlefilter.drawing import TableError, read_table
from singlefilter.figures.files import FIGURES, redraw
from singlefilter.figures.publishing import folder, preview, publish

__all__ = ["FIGURES", "TableError", "folder", "preview", "publish", "read_table", "redraw"]
