"""A piece of work beyond the stages of a run, kept in the store like one of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from singlefilter import profiles, store
from singlefilter.pipeline import stages


@dataclass(frozen=True)
class Task:
    """One stage of one run, which `sweeps.complete` takes like a run.

    stage: its name in the store; settings: all that it depends on beside the run's heads, a frozen dataclass with a
    `title`; build: function of a module, `build(run, settings, work)`, which writes files into the folder `work`;
    cost: how much work it is, beside other tasks.
    """

    stage: str
    run: stages.Run
    settings: Any
    build: Callable[[stages.Run, Any, Path], None]
    cost: float = 1.0

    @property
    def profile(self) -> profiles.Profile:
        """The profile of the run, by a name that says which task it is."""
        own = self.run.profile
        return dataclasses.replace(own, name=f"{own.name}, seed {own.seed}, {self.settings.title}")

    @property
    def deadline(self) -> float:
        """When (`time.monotonic`) its run is to pause."""
        return self.run.deadline

    def until(self, deadline: float) -> Task:
        """The same task, to pause at another time."""
        return dataclasses.replace(self, run=self.run.until(deadline))

    def folder(self) -> Path:
        """Where the store keeps it, whether it is there yet or not; prepares the data."""
        return store.stage_folder(self.stage, self._config())

    def complete(self) -> Path:
        """Its folder; does the work, and that of the run's own stages, where it is not done yet."""
        return store.stage(self.stage, self._config(), functools.partial(self.build, self.run, self.settings))

    def _config(self) -> dict:
        return {"heads": stages.folders(self.run)["heads"].name, "settings": self.settings}
