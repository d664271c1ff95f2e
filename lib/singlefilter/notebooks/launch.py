"""The program of a kernel: `python launch.py PROCESS -f FILE` is one that ends with that process, for Jupyter.

It runs with the library that this file belongs to, whatever else is on the path.
"""

import sys
from pathlib import Path


def main() -> None:
    """Become a kernel."""
    if sys.path and sys.path[0] == str(Path(__file__).parent):
        del sys.path[0]
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

    from ipykernel.kernelapp import IPKernelApp

    from singlefilter import lifelines
    from singlefilter.notebooks import outputs

    lifelines.end_with(int(sys.argv.pop(1)))
    app = IPKernelApp.instance(outstream_class=f"{outputs.__name__}.{outputs.Printed.__name__}")
    app.initialize()
    app.shell.events.register("post_run_cell", outputs.say_what_was_left_out)
    app.start()


if __name__ == "__main__":
    main()
