"""A filter to play with: in a notebook, and as a page that everybody can open.

- `widget`: sliders, buttons and a list in a live kernel, the figure alone where nobody watches
- `picture`: one filter, drawn again in milliseconds; `layers`: what there is to see, of a run or an analysis
- `page`: one HTML file, or a frame in a notebook, that needs no kernel, no data and no network; `content` is what it
  holds, `levels` how matrices become bytes, `web/` the page itself
"""

from singlefilter.explorer.content import NotRun
from singlefilter.explorer.page import embed, write
from singlefilter.explorer.widget import explore, filter_figure

__all__ = ["NotRun", "embed", "explore", "filter_figure", "write"]
