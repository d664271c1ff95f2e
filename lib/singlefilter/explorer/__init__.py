"""A filter to play with, in a notebook.

- `widget`: sliders, buttons and a list in a live kernel, the figure alone where nobody watches
- `picture`: one filter, drawn again in milliseconds; `layers`: what there is to see, of a run or an analysis
"""

from singlefilter.explorer.widget import explore, filter_figure

__all__ = ["explore", "filter_figure"]
