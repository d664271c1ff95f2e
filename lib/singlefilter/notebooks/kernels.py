"""The processes in which cells of notebooks run: this Python, with this library, for as long as who started them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

_PROGRAM = Path(__file__).with_name("launch.py")


class Kernel(AsyncKernelManager):
    """A kernel of this Python and this library, whatever kernels Jupyter knows by its name.

    It leads a group of processes, of which nothing is left when it is killed, or when who started it ends.
    """

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, str(_PROGRAM), str(os.getpid()), "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")

    def kill(self) -> None:
        """End it at once, with all that it has started, which may have outlived it."""
        if self.has_process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.provisioner.process.pid, signal.SIGKILL)

    def ending(self) -> str:
        """How it came to its end, in words: by which signal, or with which status; "" while it is alive."""
        status = self.provisioner.process.poll() if self.has_process else None
        if status is None:
            return ""
        if status >= 0:
            return f"ended by itself, with status {status}"
        known = {number.value: number.name for number in signal.Signals}
        return f"was ended by {known.get(-status, f'signal {-status}')}"

    @property
    def has_process(self) -> bool:
        return getattr(self.provisioner, "process", None) is not None
