"""A filter to play with, in a notebook.

- `widget`: sliders in a live kernel, the figure alone where nobody watches
"""

from singlefilter.explorer.widget import explore, filter_figure

__all__ = ["explore", "filter_figure"]
