"""The benchmarks: their ways agree, time is taken fairly, the table says what was done, the charts show it."""

import dataclasses
import io
import itertools
import json
import math
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks import cases, machine, naive, peers, run, scaling, suite, table, timing

from singlefilter import data, networks, profiles
from singlefilter.figures import files, registry
from singlefilter.method import clusters
from singlefilter.networks import training

# One of each label or two, so that everything runs in seconds on one core.
TINY = dataclasses.replace(cases.SMALL, images=20, images_of_naive=20)


@pytest.fixture(autouse=True)
def here(monkeypatch, request):
    """In this process and on no machine's store, but for the one test of a new process."""
    if "new_process" not in request.node.name:
        for module in (suite, scaling):
            monkeypatch.setattr(module, "in_new_process", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr(suite, "workers_for", lambda wanted: 0)


# the harness


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


# the table


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


# every benchmark at a tiny size: the ways agree, or `compare` raises


@pytest.mark.parametrize("name", suite.BENCHMARKS)
def test_the_ways_of_a_benchmark_agree(name, home):
    if name == "captum":
        pytest.importorskip("captum", reason="captum, a peer of one benchmark, is not installed")
    if name == "gpu" and not torch.cuda.is_available():
        pytest.skip("the epochs of the network at full width need a GPU; test_throughput runs them small on a CPU")
    rows = suite.BENCHMARKS[name](TINY)
    assert rows and all(tuple(row) == table.COLUMNS and row["benchmark"] == name for row in rows)
    for row in rows:
        others = row["way"] not in ("ours",)
        assert not others or row["agreement"] < 1e-3
        assert row["seconds"] > 0 or row["peak_mb"] >= 0
        assert row["extrapolated"] == (row["note"].find("scaled") >= 0 and others)


SMALL_PROFILE = profiles.from_mapping(
    {
        "name": "small", "purpose": "a network with two hidden layers", "minutes": 1, "data": {"name": "cifar100"},
        "network": {"width": 2, "hidden": [4, 3]}, "training": {"batch": 5, "learning_rate": 0.01},
    },
    "test",
)  # fmt: skip


def test_throughput(capsys, monkeypatch):
    fitted, fit = [], training.fit

    def watched(model, train, test, recipe, *, checkpoint, **how):
        curves = fit(model, train, test, recipe, checkpoint=checkpoint, **how)
        fitted.append((model, len(test), recipe, checkpoint.exists()))
        return curves

    monkeypatch.setattr(training, "fit", watched)
    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    monkeypatch.setattr(machine, "WARM_UP", 0)
    rows = machine.throughput(TINY, SMALL_PROFILE, torch.device("cpu"))
    assert [row["case"] for row in rows] == [f"VGG-16, d = 2, epoch, batch {batch}" for batch in (5, 10)]
    assert [row["met"] for row in rows][0] == (rows[0]["seconds"] <= 2)
    assert math.isnan(rows[1]["target_seconds"])
    for (model, tested, recipe, kept), batch in zip(fitted, (5, 10), strict=True):
        assert [linear.out_features for linear in model.classifier[1:]] == [4, 3, TINY.labels]
        assert recipe == dataclasses.replace(SMALL_PROFILE.training, epochs=3, batch=batch)
        assert tested == TINY.gpu_test_images and kept
    assert capsys.readouterr().out.count("of the measured bf16 ceiling") == 2


def test_operations_are_those_of_a_pass_forward_and_back():
    model = networks.build(SMALL_PROFILE.network, 5, 32, 1)
    counted = []
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda conv, _, out: counted.append(conv.weight.numel() * out.shape[2] * out.shape[3])
            )
    model(torch.zeros(1, 3, 32, 32))
    products = sum(counted) + 16 * 4 + 4 * 3 + 3 * 5
    assert machine.epoch_operations(model, 7) == 7 * 3 * 2 * products


def test_the_ceiling_is_taken_when_the_machine_is_warm(monkeypatch):
    products = []

    class Square:
        def __matmul__(self, _):
            products.append(1)

    monkeypatch.setattr(torch, "randn", lambda *_, **__: Square())
    ticks = itertools.count()
    for module in (machine, timing):
        monkeypatch.setattr(module, "clock", lambda: next(ticks) / 8)
    assert machine.bf16_ceiling(TINY, torch.device("cpu")) == 2 * TINY.ceiling**3 * 8
    assert len(products) == 3 + TINY.rounds  # at 1, 2 and 3 eighths of a second


def test_no_gpu_is_said(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine.gpu(TINY) == []
    assert "there is no GPU" in capsys.readouterr().out


def test_a_wrong_result_of_ours_is_noticed(home, monkeypatch):
    right = clusters.find

    def wrong(clipped: np.ndarray) -> np.ndarray:
        found = right(clipped)
        return np.where(found >= 0, found + 1, -1)  # as many clusters, of other numbers

    monkeypatch.setattr(clusters, "find", wrong)
    with pytest.raises(table.Disagree, match="clusters, clusters alone of every filter: naive is 1 from ours"):
        suite.find(TINY)


def test_captum_that_is_not_there_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "captum", None)
    assert suite.captum(TINY) == []
    assert "captum is not installed, so its row is left out" in capsys.readouterr().out


def test_naive_clusters_on_known_answers():
    path = np.eye(3, dtype=bool)
    path[[0, 1, 1, 2], [1, 0, 2, 1]] = True
    assert naive.clusters(np.stack([path, np.zeros((3, 3), bool)])).tolist() == [[0, 0, 1], [-1, -1, -1]]


def test_the_loader_feeds_the_same_pixels_and_learns():
    case = cases.setting(2, 5, 20)
    torch.testing.assert_close(peers.inputs(case.split), data.to_input(case.split.images), atol=1e-6, rtol=0)
    grey = (50 * case.split.labels.to(torch.uint8))[:, None, None, None].expand(-1, 3, 32, 32)
    easy = dataclasses.replace(case.split, images=grey.contiguous())
    recipe = profiles.Recipe(batch=10, learning_rate=0.05)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        losses = [peers.train_epoch(case.model, easy, recipe, 0) for _ in range(15)]
    assert losses[-1] < 0.5 * losses[0]


def test_more_workers_than_cores(monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.setattr(suite.os, "cpu_count", lambda: 2)
    assert suite.workers_for(2) == 2 and capsys.readouterr().out == ""
    assert suite.workers_for(9) == 2
    assert "9 workers were asked for; there are 2 cores" in capsys.readouterr().out


def test_matrices_of_given_densities():
    made = cases.alike(400, 30, (0.4, 0.7, 0.1))
    assert cases.densities(made) == pytest.approx((0.4, 0.7, 0.1), abs=0.02)


def test_measured_matrices_are_taken_from_the_store(tiny):
    layers, about = cases.network_fields(dataclasses.replace(TINY, labels=5))
    assert "measured here" in about
    assert [len(layer) for layer in layers] == [4, 4, 8, 8, 16, 16, 16, 32, 32, 32, 32, 32, 32]
    assert all(layer.shape[1:] == (5, 5) and layer.any() for layer in layers)
    assert "no network with as many labels" in cases.network_fields(dataclasses.replace(TINY, labels=7))[1]


# scaling, command line, charts


def test_exponents_of_known_powers():
    sizes = np.array([1, 2, 4, 8])
    assert scaling.exponent(sizes, 3.0 * sizes**1.5) == pytest.approx(1.5)
    assert math.isnan(scaling.exponent(sizes, np.array([1, 2, 0, 3])))


def test_one_benchmark_replaces_its_own_rows_only(tmp_path, home, capsys):
    for name in ("bootstrap", "clusters", "bootstrap", "scaling"):
        assert run.main(["--only", name, "--small", "--folder", str(tmp_path)]) == 0
    found = files.read_table(tmp_path / "benchmarks.csv")
    assert found["benchmark"].tolist() == ["clusters"] * 9 + ["bootstrap"] * 2
    assert list(found.columns)[: len(table.COLUMNS)] == list(table.COLUMNS)
    curves = files.read_table(tmp_path / "scaling.csv")
    assert set(zip(curves["task"], curves["over"], strict=True)) == {
        *((task, over) for task in ("measure", "clusters") for over in ("filters", "labels")),
        ("measure", "images"),
    }
    assert set(json.loads((tmp_path / "provenance.json").read_text())) == {"bootstrap", "clusters", "scaling"}
    assert "extrapolated" in capsys.readouterr().out
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*g")}
    assert set(before) == {"benchmarks.png", "benchmarks.svg", "scaling.png", "scaling.svg"}
    files.redraw(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        run.main(["--only", "cluster"])
    assert "forward" in capsys.readouterr().err


def test_charts_show_the_rows():
    rows = table.compare("b", "few", timed({"ours": 2.0, "naive": 12.0}, 0.5), {"naive": 0.0}, 0, {"naive": 50})
    rows.append(table.absolute("m", "large", "ours", peak_mb=500.0, target_mb=400.0))
    about = {"profile": "benchmarks", "data": "random", "network": "VGG-16", "seed": "1"}
    written = pd.DataFrame(rows).assign(**about).to_csv(index=False)
    again = files.read_table(io.StringIO(written))
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
