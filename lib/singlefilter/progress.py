"""Progress of long work: a bar where somebody watches, a plain line now and then where nobody does."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator

import tqdm
import tqdm.auto

SECONDS_BETWEEN_LINES = 30
UNWATCHED = "SINGLEFILTER_UNWATCHED"  # set in the environment of notebooks that papermill runs
SILENT = "silent"  # its value in the processes of a sweep, which has a bar of its own


class Lines(tqdm.tqdm):
    """A progress bar that prints lines, which read well in a log or a rendered notebook."""

    said = -1

    def display(self, msg=None, pos=None) -> None:
        if self.n == self.said:  # closing a bar displays it once more
            return
        self.said = self.n
        line = f"{self.desc.rstrip(': ')}: {self.n} of {self.total} {self.unit}s"
        print(line + (f", {self.postfix}" if self.postfix else ""), flush=True)


def bar(items: Iterable, title: str, unit: str, *, total: int, done: int = 0) -> tqdm.tqdm:
    """A progress bar over `items`; `set_postfix` of the bar adds what is to be said beside the count."""
    if os.environ.get(UNWATCHED) == SILENT:
        return tqdm.tqdm(items, disable=True)
    if is_watched():
        return tqdm.auto.tqdm(items, title, total, initial=done, unit=unit, mininterval=1)
    # leave=False: an end to the line of a bar, which these do not have, would be an empty line of errors
    return Lines(
        items, title, total, leave=False, initial=done, unit=unit, mininterval=SECONDS_BETWEEN_LINES, miniters=1
    )


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Inside, no bar is shown and no line printed."""
    before = os.environ.get(UNWATCHED)
    os.environ[UNWATCHED] = SILENT
    try:
        yield
    finally:
        os.environ.pop(UNWATCHED)
        if before is not None:
            os.environ[UNWATCHED] = before


def time_left(seconds: float) -> str:
    """Such as "about 12 minutes left": what a guess is worth."""
    for unit, name in ((3600, "hours"), (60, "minutes")):
        if seconds > 1.5 * unit:
            return f"about {seconds / unit:.0f} {name} left"
    return f"about {seconds:.0f} seconds left"


def is_watched() -> bool:
    """Whether somebody sees a bar move: at a terminal, or in a notebook that is open."""
    if os.environ.get(UNWATCHED):
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules
