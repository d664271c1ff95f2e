"""Any network, any images, in one call.

`sources` takes images as people have them, `choosing` says what could be cut, `heads` trains heads or takes those
there are, `running` measures in one pass, `result` holds what was found, `plots` draws it, `saving` keeps it,
`comparing` puts several side by side.  The measuring is that of `method`, as in the stages of a profile.
"""

from singlefilter.analysis.choosing import cuts
from singlefilter.analysis.comparing import compare
from singlefilter.analysis.heads import Head
from singlefilter.analysis.result import Result, load
from singlefilter.analysis.running import analyze

__all__ = ["Head", "Result", "analyze", "compare", "cuts", "load"]
