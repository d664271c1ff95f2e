"""Notebooks run from top to bottom, one or many, each in a kernel and a thread, so that none waits for another.

A notebook needs nothing that another one has left but what is in the store, so one that fails keeps no other from
running.  Its metadata say where it wants the machine for itself, or to be last (`originals.about`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from singlefilter import profiles, progress, store
from singlefilter.notebooks.originals import Failed, read, runs

if TYPE_CHECKING:
    from singlefilter.notebooks.kernels import Kernel

# nbconvert's own page leaves out what a picture says of itself (`drawing.Drawing.alt`).
_PAGE = """{%- extends 'lab/index.html.j2' -%}
{% block data_png scoped %}
{%- set alt = output | get_metadata('alt', 'image/png') -%}
{{ super() | replace('<img', '<img alt="' ~ (alt | escape_html) ~ '"', 1) if alt else super() }}
{%- endblock %}
"""

AT_A_TIME = 2
GIB_EACH = 4  # of memory, for a notebook at a time
_LONGEST = 300  # characters of an error that are said; its copy has more
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Asked:
    """What a notebook is run for.

    profile: name or YAML file, as the notebook's parameter; name: that of the profile in it; limits: its limits of
    time; threads: that its kernel computes with, `None` for as many as it likes.
    """

    profile: str
    name: str
    data_dir: Path | None = None
    limits: profiles.Limits = field(default_factory=profiles.Limits)
    threads: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a notebook: its seconds, and why it did not run to its end, "" where it did."""

    notebook: Path
    seconds: float
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.notebook.stem} ... " + ("failed" if self.problem else f"{self.seconds:.0f} s")


@dataclass
class Under:
    """The kernels under way; `stopped` when nobody waits for what they come to any more."""

    kernels: list[Kernel] = field(default_factory=list)
    stopped: bool = False

    def stop(self) -> None:
        """End all of them, at once."""
        self.stopped = True
        for kernel in list(self.kernels):
            kernel.kill()


def execute(notebook: Path, asked: Asked, under: Under | None = None) -> Path:
    """Run a notebook into `build/<name>/`, and its HTML beside it; its executed copy.

    under: gets the kernel, so that another thread can end it.  Raises `Failed`, with the cell and what happened in
    it, where an error is raised, the kernel ends or the time is over; the copy up to there is kept, and its HTML.
    """
    from singlefilter import interpreter

    with interpreter.own_environment():
        return _execute(notebook, asked, under or Under())


def _execute(notebook: Path, asked: Asked, under: Under) -> Path:
    import papermill

    from singlefilter.notebooks import cells

    read(notebook)
    target = store.project_root() / "build" / asked.name / notebook.name
    target.parent.mkdir(parents=True, exist_ok=True)
    for old in (target, target.with_suffix(".html")):
        old.unlink(missing_ok=True)
    cells.register()
    path = asked.profile
    parameters = {"profile": str(Path(path).resolve()) if path.endswith((".yaml", ".yml")) else path}
    if asked.data_dir is not None:
        parameters["data_dir"] = str(asked.data_dir)
    try:
        with store.naming(target), _copied(target, under):
            whole = papermill.execute_notebook(
                _literal(notebook),
                _literal(target),
                parameters,
                engine_name=cells.ENGINE,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                limits=asked.limits,
                started=under.kernels.append,
                environment=_environment(asked.threads),
                folder=notebook.parent,
            )
    except papermill.PapermillExecutionError as error:
        where, what = cells.place(error.cell_index, error.source), f"{error.ename}: {error.evalue}"
        raise Failed(_said(notebook, f"{where}: {what}", target)) from error
    except cells.Stopped as error:
        raise Failed(_said(notebook, str(error), target)) from error
    except RuntimeError as error:  # of a kernel that does not start, or ends after the last cell
        raise Failed(_said(notebook, f"its kernel did not start, or ended: {error}", target)) from error
    for index, cell in enumerate(whole.cells):  # papermill takes `sys.exit()` for the end of a notebook
        if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None:
            raise Failed(_said(notebook, f"it ended before {cells.place(index, cell.source)}, by `exit`", target))
    return target


def execute_all(notebooks: Sequence[Path], asked: Asked, jobs: int | None = None) -> list[Outcome]:
    """Run many notebooks, `jobs` at a time (by default two, where cores and memory allow it), and say what came of
    each as it ends; the outcomes in the order of the notebooks.

    Each has its share of the cores.  Those that want the machine for themselves come when others have ended, and
    those that gather what others came to in the end.  An interruption ends all of them at once.
    """
    from singlefilter import interpreter

    jobs = max(1, min(jobs or at_a_time(), len(notebooks)))
    turns: dict[str, list[Path]] = {"": [], "alone": [], "last": []}
    for path in notebooks:
        turns[runs(path).replace("first", "")].append(path)
    outcomes: dict[Path, Outcome] = {}
    with interpreter.own_environment():
        for when, paths in turns.items():
            together = 1 if when else jobs
            for outcome in _together(paths, _sharing(asked, together), together):
                outcomes[outcome.notebook] = outcome
    return [outcomes[path] for path in notebooks]


def at_a_time() -> int:
    """How many notebooks run at a time where nobody says so."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return max(1, min(AT_A_TIME, os.cpu_count() or 1, int(memory // GIB_EACH)))


def _together(paths: Sequence[Path], asked: Asked, jobs: int) -> Iterator[Outcome]:
    under = Under()
    with ThreadPoolExecutor(jobs) as threads:
        left = {threads.submit(_outcome, path, asked, under) for path in paths}
        try:
            while left:
                done, left = wait(left, return_when=FIRST_COMPLETED)
                for one in done:
                    print(one.result(), flush=True)
                    yield one.result()
        except BaseException:  # an interruption, or an error of ours: nobody waits for what is under way
            for one in left:
                one.cancel()
            while wait(left, timeout=0.1).not_done:
                under.stop()
            raise


def _outcome(notebook: Path, asked: Asked, under: Under) -> Outcome:
    start, problem = time.perf_counter(), ""
    try:
        _execute(notebook, asked, under)
    except (Failed, OSError) as error:
        problem = store.in_words(error)
    except Exception as error:  # whatever papermill or nbconvert makes of it, it is no reason to lose the others
        problem = f"{notebook.name}: {type(error).__name__}: {_short(str(error))}"
    return Outcome(notebook, time.perf_counter() - start, problem)


def _sharing(asked: Asked, jobs: int) -> Asked:
    threads = max(1, (os.cpu_count() or 1) // jobs) if jobs > 1 else asked.threads
    return Asked(asked.profile, asked.name, asked.data_dir, asked.limits, threads)


def _environment(threads: int | None) -> dict[str, str]:
    """The environment of a kernel; threads that somebody has set already are theirs."""
    environment = os.environ | {progress.UNWATCHED: "yes"}
    if threads is not None:
        environment = {name: str(threads) for name in _THREADS} | environment
    return environment


@contextlib.contextmanager
def _copied(target: Path, under: Under) -> Iterator[None]:
    """Inside, a copy is written; its HTML is written afterwards, whatever happened, if anybody waits for it."""
    try:
        yield
    except Exception:
        if under.stopped:
            raise
        with contextlib.suppress(Exception):  # what happened is more important
            _write_page(target)
        raise
    _write_page(target)


def _write_page(target: Path) -> None:
    from nbconvert import HTMLExporter

    logging.getLogger("traitlets").setLevel(logging.ERROR)  # nbconvert's remarks on the style of a notebook
    html, _ = HTMLExporter(raw_template=_PAGE).from_filename(str(target))
    with store.atomic_file(target.with_suffix(".html")) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _literal(path: Path) -> str:
    """A path as papermill takes it, which sets parameters into those with braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _said(notebook: Path, problem: str, target: Path) -> str:
    return f"{notebook.name}, {_short(problem)}\n(executed up to there: {target})"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
