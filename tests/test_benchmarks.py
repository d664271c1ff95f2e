"""The benchmarks: their ways agree, what is missing is said, and the command line keeps what it has."""

import dataclasses
import itertools
import json
import math
import sys

import numpy as np
import pytest
import torch
from benchmarks import analysis, anybodys, cases, machine, measuring, naive, peers, run, scaling, suite, table, timing
from benchmarks import training as training_

from singlefilter import data, networks, profiles
from singlefilter.figures import files
from singlefilter.method import clusters
from singlefilter.networks import epochs, training

# One of each label or two, so that everything runs in seconds on one core.
TINY = dataclasses.replace(cases.SMALL, images=20, images_of_naive=20)


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """In this process, and without workers of a DataLoader."""
    for module in (analysis, anybodys, measuring, scaling):
        monkeypatch.setattr(module, "in_new_process", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr(training_, "workers_for", lambda wanted: 0)


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
    monkeypatch.setattr(epochs, "SECONDS_BETWEEN_CHECKPOINTS", 0)
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
        analysis.find(TINY)


def test_captum_that_is_not_there_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "captum", None)
    assert measuring.captum(TINY) == []
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
    monkeypatch.setattr(training_.os, "cpu_count", lambda: 2)
    assert training_.workers_for(2) == 2 and capsys.readouterr().out == ""
    assert training_.workers_for(9) == 2
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
    assert set(json.loads((tmp_path / "provenance.json").read_text(encoding="utf-8"))) == {
        "bootstrap",
        "clusters",
        "scaling",
    }
    assert "extrapolated" in capsys.readouterr().out
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*g")}
    assert set(before) == {"benchmarks.png", "benchmarks.svg", "scaling.png", "scaling.svg"}
    files.redraw(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        run.main(["--only", "cluster"])
    assert "forward" in capsys.readouterr().err
