"""The benchmarks by name: each makes its cases, times the ways in turn, and says how far their results agree."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import machine
from benchmarks.analysis import bootstrap, find, null
from benchmarks.anybodys import analyze
from benchmarks.cases import Sizes
from benchmarks.measuring import captum, forward, measure, memory
from benchmarks.training import train, train_heads, views

BENCHMARKS: dict[str, Callable[[Sizes], list[dict]]] = {
    "forward": forward,
    "measure": measure,
    "memory": memory,
    "analyze": analyze,
    "clusters": find,
    "heads": train_heads,
    "views": views,
    "train": train,
    "layout": machine.layout,
    "sweep": machine.sweep,
    "gpu": machine.gpu,
    "captum": captum,
    "bootstrap": bootstrap,
    "null": null,
}
