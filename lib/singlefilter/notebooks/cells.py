"""How the cells of a notebook are run: by papermill, within limits of time and of output, in a kernel of our own."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines

from singlefilter import profiles
from singlefilter.notebooks.kernels import Kernel
from singlefilter.notebooks.outputs import Bounds

ENGINE = "singlefilter"
SECONDS_TO_START = 300  # of a kernel; a busy machine may take one
SECONDS_TO_READ = 120  # what a cell has printed, when it has ended
MEMORY = "most often because memory ran out: close other programs, or run fewer notebooks at a time (--jobs 1)"


class Stopped(RuntimeError):
    """A notebook was stopped in the midst of a cell; the message says by what, and what to do."""


class Cells(PapermillNotebookClient):
    """The client of one notebook; `stopped` says why it did not come to its end, "" where it was not stopped."""

    def __init__(self, manager: Any, limits: profiles.Limits, started: Any, **options):
        super().__init__(manager, kernel_manager_class=Kernel, timeout_func=self._seconds_for, **options)
        self.limits, self.started, self.stopped = limits, started, ""
        self.ends = time.monotonic() + 60 * limits.notebook_minutes
        self.bounds, self.key = Bounds(), ""

    def execute(self, **options):
        try:
            return super().execute(**options)
        finally:
            _end_tasks()

    def create_kernel_manager(self) -> Kernel:
        kernel = super().create_kernel_manager()
        self.started(kernel)
        return kernel

    def papermill_execute_cells(self) -> None:
        super().papermill_execute_cells()
        if self.stopped:
            raise Stopped(self.stopped)

    def execute_cell(self, cell, index, *rest):
        """One cell; where its kernel ends or its time is over, an output of it says so, and `stopped`."""
        self.bounds.begin()
        kernel = self.km
        try:
            return super().execute_cell(cell, index, *rest)
        except (DeadKernelError, CellTimeoutError) as error:
            name, words = self._why(kernel, error)
            kernel.kill()
            self.stopped = f"{place(index, cell.source)}: {words}"
            cell.outputs.append(_output("error", ename=name, evalue=words, traceback=[f"{name}: {words}"]))
            raise CellExecutionError(words, name, words) from error
        finally:
            if words := self.bounds.end():
                cell.outputs.append(_output("stream", name="stdout", text=f"{words}\n"))

    def process_message(self, message, cell, index):
        kept = self.bounds.kept(message)
        return None if kept is None else super().process_message(kept, cell, index)

    def output(self, outs, message, display_id, index):
        """As Jupyter does, what is printed piece by piece is one output."""
        last = outs[-1] if outs and not self.clear_before_next_output else {}
        hooked = self.output_hook_stack[message["parent_header"].get("msg_id")]
        content = message["content"]
        if not hooked and message["msg_type"] == last.get("output_type") == "stream" and last.name == content["name"]:
            last.text += content["text"]
            return last
        return super().output(outs, message, display_id, index)

    def _seconds_for(self, cell) -> float:
        of_cell, left = 60 * self.limits.cell_minutes, self.ends - time.monotonic()
        self.key = "cell_minutes" if of_cell <= left else "notebook_minutes"
        return max(0.001, min(of_cell, left))

    def _why(self, kernel: Kernel, error: Exception) -> tuple[str, str]:
        if isinstance(error, DeadKernelError):
            how = kernel.ending() or "ended"
            because = "" if "by itself" in how else f", {MEMORY}"
            if "SIGKILL" not in how and because:
                because = f", as compiled code does when it fails, or {MEMORY.replace('most often ', '')}"
            return "KernelDied", f"its kernel (the process in which cells run) {how}{because}"
        if "IOPub" in str(error):
            return (
                "OutputTimeout",
                f"what it printed did not arrive within {SECONDS_TO_READ} s after its end; print less",
            )
        what = "this cell" if self.key == "cell_minutes" else "this notebook"
        minutes = getattr(self.limits, self.key)
        return (
            "TimeLimit",
            f"the time of {what} was over, {minutes:g} minutes; limits.{self.key} in the profile gives it more, and "
            "training goes on from its last checkpoint",
        )


class _Engine(Engine):
    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, limits, started, environment, folder, **_):
        Cells(
            nb_man,
            limits,
            started,
            kernel_name=kernel_name,
            startup_timeout=SECONDS_TO_START,
            iopub_timeout=SECONDS_TO_READ,
            extra_arguments=["--log-level=50"],  # the kernel's remarks on how it is connected
        ).execute(cwd=str(folder), env=environment)


def _end_tasks() -> None:
    """End what still waits for messages of a kernel that is gone, so that Python does not complain of it later."""
    loop = ensure_event_loop()
    if not loop.is_running() and (tasks := asyncio.all_tasks(loop)):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


def register() -> None:
    """Let papermill know the engine."""
    papermill_engines.register(ENGINE, _Engine)


def place(index: int, source: str) -> str:
    """Where in an executed notebook that is, for people: the number of the cell, from 1, and its first line."""
    first = next((line.strip() for line in source.splitlines() if line.strip()), "")
    return f"cell {index + 1}" + (f" (`{first[:80]}`)" if first else "")


def _output(kind: str, **content) -> Any:
    from nbformat.v4 import new_output

    return new_output(kind, **content)
