"""How benchmarks are timed, compared and drawn: fairly, in a table that says what was done."""

import math
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks import scaling, table, timing

from singlefilter.figures import files, registry


def test_ways_are_timed_in_turn_after_a_warm_up_that_does_not_count(monkeypatch):
    done, now = [], [0.0]
    lasts = {"a": iter([100, 1, 2, 9]), "b": iter([50, 10, 30, 20])}  # the first: cold
    monkeypatch.setattr(timing, "clock", lambda: now[0])

    def work(name: str) -> int:
        done.append(name)
        now[0] += next(lasts[name])
        return len(done)

    ways = [timing.Way("a", lambda: work("a")), timing.Way("b", lambda: work("b"), share=0.1)]
    timed = timing.in_turn(ways, 3)
    assert done == ["a", "b"] * 4
    assert (timed["a"].low, timed["a"].seconds, timed["a"].high) == (1.5, 2, 5.5)
    assert timed["b"].seconds == pytest.approx(200)  # a tenth took 20
    assert (timed["a"].extrapolated, timed["b"].extrapolated) == (False, True)
    assert (timed["a"].result, timed["b"].result) == (7, 8)  # of the last round


def test_a_warm_up_of_its_own_takes_the_place_of_the_first_time():
    done = []
    way = timing.Way("a", lambda: done.append("work"), warm_up=lambda: done.append("warm"))
    timing.in_turn([way], 2)
    assert done == ["warm", "work", "work"]
    with pytest.raises(ValueError, match="at least one round, 0 given"):
        timing.in_turn([way], 0)


@pytest.mark.parametrize("there", [True, False])
def test_the_clock_waits_for_a_gpu(monkeypatch, there):
    calls = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: calls.append("wait"))
    fake = types.SimpleNamespace(perf_counter=lambda: calls.append("look") or 1.0)
    monkeypatch.setattr(timing, "time", fake)
    timing.in_turn([timing.Way("a", lambda: calls.append("work"))], 1)
    look = ["wait", "look"] if there else ["look"]
    assert calls == ["work", *look, "work", *look]


def test_bars_of_progress_stay_out_of_the_output(capsys):
    timing.in_turn([timing.Way("a", lambda: print("bar", file=sys.stderr) or print("bar"))], 1)
    assert capsys.readouterr() == ("", "")


def fill(megabytes: int) -> tuple[int, float]:
    """Threads here, and the peak of a block of memory that is gone when it is over."""
    peak, _ = timing.peak_above_start(lambda: int(np.ones(megabytes * 10**6, dtype=np.uint8)[-1]))
    return torch.get_num_threads(), peak


def test_a_new_process_has_as_many_threads_and_its_own_peak():
    kept = np.ones(300 * 10**6, dtype=np.uint8)
    threads, peak = timing.in_new_process(fill, 100)
    assert threads == torch.get_num_threads()
    assert 95 < peak < 140 and len(kept)


def timed(seconds: dict[str, float], share: float = 1.0) -> dict[str, timing.Timed]:
    shares = {name: share if name == "naive" else 1.0 for name in seconds}
    return {
        name: timing.Timed(timing.Way(name, lambda: None, shares[name]), value, value, value, None)
        for name, value in seconds.items()
    }


def test_rows_of_a_comparison():
    ways = timed({"ours": 2.0, "naive": 12.0, "peer": 1.0}, share=0.5)
    rows = table.compare("b", "c", ways, {"naive": 1e-9, "peer": 0.0}, 1e-6, {"naive": 5, "peer": 1.3}, labels=7)
    assert all(tuple(row) == table.COLUMNS for row in rows)
    assert [row["way"] for row in rows] == ["ours", "naive", "peer"]
    assert [row["ratio"] for row in rows] == [1, 6, 0.5]
    assert [row["extrapolated"] for row in rows] == [False, True, False]
    assert math.isnan(rows[0]["met"]) and [row["met"] for row in rows[1:]] == [1, 0]
    assert {row["labels"] for row in rows} == {7}
    assert "6 times ours" in table.sentence(rows[1]) and table.sentence(rows[1]).endswith("met)  extrapolated")
    assert "MISSED" in table.sentence(rows[2])


@pytest.mark.parametrize("difference", [1e-3, math.nan, math.inf])
def test_ways_that_disagree_are_not_compared(difference):
    with pytest.raises(table.Disagree, match="b, c: naive is"):
        table.compare("b", "c", timed({"ours": 1.0, "naive": 2.0}), {"naive": difference}, 1e-6, {})


@pytest.mark.parametrize(
    ("seconds", "peak", "met"), [(9.0, 1900.0, 1), (11.0, 1900.0, 0), (9.0, 2100.0, 0), (math.nan, 100.0, 0)]
)
def test_absolute_figures_are_met_when_all_of_them_are(seconds, peak, met):
    row = table.absolute("b", "c", "ours", seconds=seconds, peak_mb=peak, target_seconds=10.0, target_mb=2000.0)
    assert row["met"] == met


def test_exponents_of_known_powers():
    sizes = np.array([1, 2, 4, 8])
    assert scaling.exponent(sizes, 3.0 * sizes**1.5) == pytest.approx(1.5)
    assert math.isnan(scaling.exponent(sizes, np.array([1, 2, 0, 3])))


def test_charts_show_the_rows(tmp_path):
    rows = table.compare("b", "few", timed({"ours": 2.0, "naive": 12.0}, 0.5), {"naive": 0.0}, 0, {"naive": 50})
    rows.append(table.absolute("m", "large", "ours", peak_mb=500.0, target_mb=400.0))
    about = {"profile": "benchmarks", "data": "random", "network": "VGG-16", "seed": "1"}
    pd.DataFrame(rows).assign(**about).to_csv(tmp_path / "benchmarks.csv", index=False)
    again = files.read_table(tmp_path / "benchmarks.csv")
    fig = registry.OF_A_MACHINE["benchmarks"].drawn(again.assign(extrapolated=again["extrapolated"] == "True"))
    ratios, parts = fig.axes
    assert [patch.get_width() for patch in ratios.patches] == [6]
    assert [patch.get_width() for patch in parts.patches] == [1.25]
    strokes = [set(line.get_xdata()) for ax in fig.axes for line in ax.lines if line.get_color() == "black"]
    assert strokes == [{50}, {1}]
    labels = " ".join(text.get_text() for ax in fig.axes for text in ax.get_yticklabels())
    assert "b: few, naive (scaled)" in " ".join(labels.split()) and "500 of 400 MB" in " ".join(labels.split())


def test_a_curve_of_memory_without_any_still_draws():
    root = Path(__file__).resolve().parents[1]
    measured = files.read_table(root / "figures" / "benchmarks" / "scaling.csv")
    none = measured.assign(peak_mb=measured["peak_mb"].where(measured["over"] != "images", 0))
    scales = [ax.get_yscale() for ax in registry.OF_A_MACHINE["scaling"].drawn(none).axes]
    assert scales.count("linear") == 1
