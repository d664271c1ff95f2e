"""How time and memory grow: one size doubled at a time, and the exponent of a power law through the points."""

from __future__ import annotations

import numpy as np
from benchmarks.cases import Sizes, alike, setting
from benchmarks.table import machine, threads
from benchmarks.timing import Way, in_new_process, in_turn, peak_above_start

from singlefilter.method import clusters, fields


def points(sizes: Sizes) -> list[dict]:
    """Seconds and megabytes of measuring and of finding clusters, each point in a process of its own.

    Measuring: over images, filters (the network's width) and labels; clusters: over filters and labels.
    """
    few = sizes.scaling_images[1]
    measuring = [("images", n, (sizes.width, sizes.labels, n)) for n in sizes.scaling_images]
    measuring += [("filters", 66 * width, (width, sizes.labels, few)) for width in sizes.scaling_widths]
    measuring += [("labels", labels, (sizes.width, labels, few)) for labels in sizes.scaling_labels]
    finding = [("filters", filters, (filters, sizes.labels)) for filters in sizes.scaling_filters]
    finding += [("labels", labels, (sizes.scaling_filters[-1], labels)) for labels in sizes.scaling_labels]
    rows = []
    for task, function, cases in (("measure", _measure, measuring), ("clusters", _find, finding)):
        for over, size, shape in cases:
            seconds, peak = in_new_process(function, sizes, *shape)
            found = {"task": task, "over": over, "size": size, "seconds": seconds, "peak_mb": peak}
            rows.append(found | {"machine": machine(), "threads": threads()})
            print(f"scaling      {task} with {size} {over}: {seconds:.4f} s, {peak:.0f} MB", flush=True)
    return _with_exponents(rows)


def exponent(sizes: np.ndarray, values: np.ndarray) -> float:
    """Slope of a straight line through the logarithms, by least squares; NaN where a value is not above zero."""
    if (np.asarray(values) <= 0).any():
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def _with_exponents(rows: list[dict]) -> list[dict]:
    """Each row with the exponents of its curve, over time and over memory."""
    for row in rows:
        curve = [other for other in rows if (other["task"], other["over"]) == (row["task"], row["over"])]
        size = np.array([other["size"] for other in curve], float)
        for name in ("seconds", "peak_mb"):
            row[f"exponent_{name}"] = exponent(size, np.array([other[name] for other in curve]))
    return rows


def _measure(sizes: Sizes, width: int, labels: int, images: int) -> tuple[float, float]:
    case = setting(width, labels, images)
    return _seconds_and_peak(
        sizes, lambda: fields.measure(case.model, case.points, case.weights, case.split, sizes.batch)
    )


def _find(sizes: Sizes, filters: int, labels: int) -> tuple[float, float]:
    clipped = alike(filters, labels, None)
    return _seconds_and_peak(sizes, lambda: clusters.find(clipped))


def _seconds_and_peak(sizes: Sizes, work) -> tuple[float, float]:
    peak, _ = peak_above_start(work)  # first, before anything as large was freed
    return in_turn([Way("ours", work)], sizes.scaling_rounds)["ours"].seconds, peak
