"""Several analyses side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from singlefilter.analysis import plots
from singlefilter.analysis.result import Result
from singlefilter.errors import InputError


@dataclass(frozen=True)
class Comparison:
    """Analyses by name; `layers` is the table of all of them, `result` the name of each row's."""

    results: dict[str, Result]

    @property
    def layers(self) -> pd.DataFrame:
        """The `layers` of every result, one below the other."""
        tables = [result.layers.assign(result=name) for name, result in self.results.items()]
        table = pd.concat(tables, ignore_index=True)
        return table[["result", *table.columns.drop("result")]]

    def plot(self, path: str | Path | None = None) -> Figure:
        """Accuracy, SNR and d' of every cut, a line for each result."""
        tables = {name: result.layers for name, result in self.results.items()}
        title = " and ".join(self.results) if len(self.results) < 4 else f"{len(self.results)} networks"
        return plots.written(plots.of_layers(tables, title), path)


def compare(**results: Result) -> Comparison:
    """Analyses side by side, by names of one's own.  Raises `InputError` for none, or for other labels.

    Example: `compare(trained=result, untrained=analyze(fresh, train, test)).plot()`.
    """
    if not results:
        raise InputError("nothing to compare: give results by name, such as compare(trained=one, untrained=other)")
    counts = {name: len(result.names) for name, result in results.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise InputError(f"results of different numbers of labels cannot be held side by side: {listed}")
    return Comparison(results)
