"""Rows of the table of benchmarks: a comparison or an absolute figure, with its target and whether it was met."""

from __future__ import annotations

import math

import torch
from benchmarks.timing import Timed

from singlefilter import provenance

COLUMNS = (
    *("benchmark", "case", "way", "seconds", "low", "high", "peak_mb", "ratio", "agreement"),
    *("target_ratio", "target_seconds", "target_mb", "met", "extrapolated", "images", "filters", "labels"),
    *("machine", "threads", "note"),
)
OURS = "ours"


class Disagree(AssertionError):
    """Two ways to one result have different results, so that their times cannot be compared."""


def compare(
    benchmark: str,
    case: str,
    timed: dict[str, Timed],
    agreement: dict[str, float],
    tolerance: float,
    targets: dict[str, float],
    **counts: object,
) -> list[dict]:
    """Rows of some ways timed in turn, `ours` among them.

    `ratio`: seconds of a way over ours, at least `targets[way]` where there is a target.  `agreement`: largest
    difference of a way's result from ours.  Raises `Disagree` where it is above `tolerance`.
    """
    rows = []
    for name, way in timed.items():
        ratio = way.seconds / timed[OURS].seconds
        difference = agreement.get(name, 0.0 if name == OURS else math.nan)
        if name != OURS and not difference <= tolerance:
            raise Disagree(f"{benchmark}, {case}: {name} is {difference:.3g} from ours, above {tolerance:.3g}")
        found = {"seconds": way.seconds, "low": way.low, "high": way.high, "ratio": ratio, "agreement": difference}
        row = absolute(benchmark, case, name, extrapolated=way.extrapolated, **found, **counts)
        if name in targets:
            row |= {"target_ratio": targets[name], "met": float(ratio >= targets[name])}
        rows.append(row)
    return rows


def absolute(benchmark: str, case: str, way: str, **values: object) -> dict:
    """A row with every column, NaN or empty where nothing is given; met when seconds and memory are within bounds."""
    empty = dict.fromkeys(COLUMNS, math.nan)
    about = {"benchmark": benchmark, "case": case, "way": way, "machine": machine(), "threads": threads(), "note": ""}
    row = empty | about | {"extrapolated": False} | values
    bounds = [(row["seconds"], row["target_seconds"]), (row["peak_mb"], row["target_mb"])]
    if any(not math.isnan(bound) for _, bound in bounds):
        row["met"] = float(all(value <= bound for value, bound in bounds if not math.isnan(bound)))
    return row


def sentence(row: dict) -> str:
    """A row as a line to print."""
    parts = [f"{row['benchmark']:<12} {row['case']:<34} {row['way']:<14}"]
    if not math.isnan(row["seconds"]):
        parts.append(f"{row['seconds']:10.4f} s [{row['low']:.4f}, {row['high']:.4f}]")
    if not math.isnan(row["peak_mb"]):
        parts.append(f"{row['peak_mb']:8.0f} MB")
    if row["way"] != OURS and not math.isnan(row["ratio"]):
        parts.append(f"{row['ratio']:9,.4g} times ours, agrees within {row['agreement']:.2g}")
    wanted = {
        "target_ratio": "at least {:,.4g} times",
        "target_seconds": "at most {:.3g} s",
        "target_mb": "{:.0f} MB",
    }
    targets = [words.format(row[key]) for key, words in wanted.items() if not math.isnan(row[key])]
    if targets:
        parts.append(f"(target {' and '.join(targets)}: {'met' if row['met'] else 'MISSED'})")
    return "  ".join(parts) + ("  extrapolated" if row["extrapolated"] else "")


def machine() -> str:
    about = provenance.machine()
    return str(about["processor"] if about["gpu"] == "none" else about["gpu"])


def threads() -> int:
    return torch.get_num_threads()
