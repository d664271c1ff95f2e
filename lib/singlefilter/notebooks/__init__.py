"""The numbered notebooks of the project: run from top to bottom, or copied for a reader to work on.

`originals` finds, reads and copies them; `running` runs one or all by papermill; `kernels` are the processes in which
their cells run, which end with the one that started them; `outputs` keeps what cells say within bounds;
`current` tells which need not be run again.
"""

from singlefilter.notebooks.current import current, execute_changed, keep
from singlefilter.notebooks.originals import COPIES, Failed, about, copies, found_in, number, numbered, read, runs
from singlefilter.notebooks.running import Asked, Outcome, execute, execute_all

__all__ = [
    "COPIES",
    "Asked",
    "Failed",
    "Outcome",
    "about",
    "copies",
    "current",
    "execute",
    "execute_all",
    "execute_changed",
    "found_in",
    "keep",
    "number",
    "numbered",
    "read",
    "runs",
]
