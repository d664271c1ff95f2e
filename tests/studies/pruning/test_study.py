"""The study of pruning on networks that train in no time: what is in its tables, and that nothing is done twice."""

import dataclasses
import importlib.util

import numpy as np
import pytest
import torch
from tests.conftest import one_by_one
from torch import nn

from singlefilter import afcc, profiles
from singlefilter.pipeline import stages
from singlefilter.studies.pruning import (
    convolution_study,
    designs,
    filters,
    head_study,
    latency,
    network_study,
    study,
    truncations,
)

GROUP = {
    "thresholds": [0.2],
    "first_layers": [4, 3],
    "overlaps": [1],
    "truncations": [4],
    "scores": ["covered"],
    "budgets": [0.5],
    "groups": [2],
    "hubs": 2,
    "rounds": 2,
}
PROFILE = {
    "name": "tiny",
    "purpose": "pruning",
    "minutes": 1,
    "data": {"name": "glyphs", "labels": 4, "train_per_label": 5, "test_per_label": 5, "seed": 1},
    "network": {"width": 2, "depth": 8},
    "training": {"epochs": 1, "batch": 10, "learning_rate": 0.05, "flip": False},
    "heads": {"epochs": 1, "batch": 10, "flip": False, "kinds": ["flat"]},
    "analysis": {"resamples": 100},
    "afcc": GROUP,
}


def run_of(**groups) -> stages.Run:
    return stages.Run(profiles.from_mapping(PROFILE | groups, "test"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The finished study of one seed, done one by one in this process."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SINGLEFILTER_HOME", str(tmp_path_factory.mktemp("pruning")))
        patch.setattr("singlefilter.pipeline.sweeps.complete", one_by_one)
        patch.setattr(latency, "SECONDS", 0.001)
        made = run_of()
        study.complete(made)
        yield made
    for cached in (filters.clusters_at, study._ensure, study.observed):
        cached.cache_clear()


def test_heads_of_every_cut_method_threshold_and_moment(run):
    table, right = head_study.observations(run)
    assert len(table) == len(right) == 2 * (4 * (1 + 5) + (1 + 2 * 5))
    assert set(table["method"]) == set(head_study.METHODS)
    assert set(table.loc[table["layer"] < 5, "threshold"].dropna()) == {0.3}
    for (_, _), same in table[table["method"] != head_study.LEAK].dropna().groupby(["layer", "threshold"]):
        assert same["kept"].nunique() == 1, "every method keeps as much as AFCC"
    for layer, point in filters.flat_points(run).items():
        dense = table[(table["layer"] == layer) & (table["method"] == "dense") & (table["moment"] == "before")]
        assert torch.equal(right[dense.index[0]], stages.measurement(run, "test").correct[point.name])
        kept = table.query(f"layer == {layer} and method == 'afcc' and threshold == 0.3")["kept_fraction"]
        covered = (filters.clusters_at(run, layer, 0.3) >= 0).float().mean()
        assert kept.tolist() == pytest.approx([covered.item()] * 2)
    assert table["correct"].tolist() == [int(each.sum()) for each in right]
    assert (table["accuracy"] == table["correct"] / 20).all() and (table["low"] <= table["accuracy"]).all()


def test_convolutions_keep_as_many_kernels_by_every_method(run):
    table, right = convolution_study.observations(run)
    assert len(table) == len(right) == 2 * 2 * (1 + 3)
    assert sorted(table["pairs"].unique()) == [1, 2]
    masked = table.dropna(subset="overlap")
    assert (masked.groupby("first_layer")["kept"].nunique() == 1).all() and (
        masked["kept"] <= masked["kernels"]
    ).all()
    last = filters.clusters_at(run, 4, 0.3), filters.clusters_at(run, 5, 0.3)
    expected = afcc.kept_fraction(afcc.convolution_mask(*last))
    assert masked[masked["first_layer"] == 4]["kept_fraction"].tolist() == pytest.approx([expected] * 6)
    whole, answers = network_study.observations(run)
    dense = whole[(whole["design"] == "dense") & (whole["moment"] == "before")].index[0]
    for place in table[(table["method"] == "dense") & (table["moment"] == "before")].index:
        assert torch.equal(right[place], answers[dense])


def test_scores_of_filters(run):
    for layer, point in filters.flat_points(run).items():
        margin = filters.scores_at(run, layer, "margin")
        matrices = (
            stages.measurement(run).class_means[point.name].permute(1, 0, 2).double()
            @ stages.heads(run)[0][point.name].permute(1, 2, 0).double()
        )
        for found, matrix in zip(margin, matrices, strict=True):
            own = [matrix[i, i] - np.mean([matrix[i, j] for j in range(4) if j != i]) for i in range(4)]
            assert found.item() == pytest.approx(float(np.mean(own)), abs=1e-5)
    with pytest.raises(ValueError, match="no score named 'l3'"):
        filters.scores_at(run, 5, "l3")


def test_truncation_says_where_accuracy_levels_off(run):
    table = truncations.observations(run)
    assert table["layer"].tolist() == [1, 2, 3, 4, 5] and table["levels_off"].sum() == 1
    first = table[table["levels_off"] == 1].iloc[0]
    good = table["accuracy"] >= table["accuracy"].max() - run.profile.afcc.level_off
    assert first["layer"] == table.loc[good, "layer"].min()
    assert table["multiply_adds"].is_monotonic_increasing and table["parameters_part"].iloc[-1] == 1
    easy = dataclasses.replace(run.profile, afcc=dataclasses.replace(run.profile.afcc, level_off=1.0))
    assert truncations.observations(dataclasses.replace(run, profile=easy))["levels_off"].tolist() == [1, 0, 0, 0, 0]


def test_networks_keep_their_budgets_and_can_be_loaded_again(run):
    table, right = network_study.observations(run)
    made = designs.designs(run)
    assert table["design"].tolist() == [design.title for design in made for _ in range(2)]
    assert len({design.title for design in made}) == len(made) and made[0] == designs.Design()
    dense = table.iloc[0]
    assert dense["kept_fraction"] == 1
    limited = table.dropna(subset="budget")
    assert len(limited) and (limited["multiply_adds"] <= limited["budget"] * dense["multiply_adds"]).all()
    assert not table[table["method"].isin(["l1", "random", "dense"])]["ours"].any()
    assert table[table["method"].isin(["covered", "margin", "truncated", "groups"])]["ours"].all()
    image, split = truncations.black_image(run), stages.splits(run)["test"]
    for number, design in enumerate(made):
        if design.rule not in (None, "l1") or design == designs.Design():
            continue
        network = network_study.retrained(run, design)
        assert afcc.costs(network, image).parameters == table["parameters"][2 * number]
        again = study.network_study.answers.right_answers({"again": network}, split)["again"]
        assert torch.equal(again, right[2 * number + 1]), design.title


@pytest.mark.skipif(importlib.util.find_spec("torch_pruning") is None, reason="torch-pruning is not installed")
def test_group_norm_is_a_baseline_where_it_is_installed(run):
    assert "group norm" in {design.rule for design in designs.designs(run)}


def test_latency_is_measured_once_and_anew_when_it_is_forgotten(run):
    table = latency.observations(run)
    made = designs.designs(run)
    assert len(table) == 2 * len(made) and set(table["batch"]) == {1, 100}
    assert (table["latency_low"] <= table["latency_ms"]).all() and (
        table["latency_ms"] <= table["latency_high"]
    ).all()
    dense = table[table["design"] == "dense"]
    assert (dense["speedup"] == 1).all() and (dense["speedup_low"] == 1).all()
    assert (table["peak_mb"] > 0).all() and table["threads"].nunique() == 1
    assert latency.observations(run).equals(table)
    assert latency.forget(run) == 1 and latency.forget(run) == 0


def test_no_batch_norm_is_timed_and_answers_stay(run):
    images = stages.splits(run)["test"].images[:5].float() / 128 - 1
    for design in designs.designs(run):
        network = network_study.retrained(run, design)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        ready = latency.folded(network)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in ready.modules()), design.title
        with torch.no_grad():
            torch.testing.assert_close(ready(images), network(images), atol=1e-4, rtol=1e-4)
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_peak_memory_is_that_of_the_maps():
    """An output of 8 x 8 positions and what is pooled from it are there at once, and nothing more at any time."""
    network = nn.Sequential(nn.ReLU(), nn.AvgPool2d(2), nn.ReLU(), nn.ReLU(), nn.ReLU())
    with torch.no_grad():
        peak = latency.peak_megabytes(network, torch.zeros(100, 3, 8, 8))
    assert peak == pytest.approx(100 * 3 * (8 * 8 + 4 * 4) * 4 / 1e6)


def test_all_of_it_runs_where_networks_compute_in_bfloat16(home, monkeypatch):
    """As on a GPU, but for the device: what takes part in a sum has to agree in its number format."""
    halves = []

    def autocast(_: torch.device) -> torch.autocast:
        halves.append(torch.autocast("cpu", torch.bfloat16))
        return halves[-1]

    monkeypatch.setattr("singlefilter.networks.training.autocast", autocast)
    monkeypatch.setattr("singlefilter.pipeline.sweeps.complete", one_by_one)
    few = run_of(afcc=GROUP | {"first_layers": [4]})
    study.complete(few)
    assert halves and stages.measurement(few).class_means["layer5_flat"].dtype == torch.float32
    for of_seed in (head_study.observations, convolution_study.observations, network_study.observations):
        table, right = of_seed(few)
        assert len(table) == len(right) and table["accuracy"].between(0, 1).all()


def test_pareto_and_claims_have_what_figures_need(run):
    table = study.pareto(run)
    assert len(table) == len(designs.designs(run)) + 1
    for column in ("latency_ms_1", "latency_ms_100", "parameters", "accuracy", "low", "high", "peak_mb_1"):
        assert table[column].notna().all(), column
    alike = table[(table["design"] == "dense") & (table["moment"] == "after")].iloc[0]
    assert (alike["difference"], alike["difference_low"], alike["difference_high"]) == (0, 0, 0)
    for name, column in (("front_latency", "latency_ms_1"), ("front_parameters", "parameters")):
        for row in table.itertuples():
            beaten = (table["accuracy"] >= row.accuracy) & (table[column] <= getattr(row, column))
            beaten &= (table["accuracy"] > row.accuracy) | (table[column] < getattr(row, column))
            assert getattr(row, name) == int(not beaten.any())
    decided = study.decided(run)
    assert decided["claim"].tolist() == ["C7", "C10", "C11"]
    assert "supported" not in set(decided["verdict"]), "one seed supports nothing"


def started(*_):
    raise AssertionError("started")


def test_nothing_is_done_twice(run, monkeypatch):
    tasks = study.tasks(run)
    assert len(tasks) == 1 + 2 + len(designs.designs(run))
    assert len({task.folder() for task in tasks}) == len(tasks)
    for module in (head_study, convolution_study, network_study):
        monkeypatch.setattr(module, "build", started)
    for task in study.tasks(run):
        task.complete()


def test_layers_and_groups_that_are_not_there_are_named(run):
    def changed(**values):
        return run_of(afcc=GROUP | values)

    with pytest.raises(profiles.ProfileError, match=r"afcc.first_layers: 5 given, the last layer is 5"):
        convolution_study.tasks(changed(first_layers=[5]))
    with pytest.raises(profiles.ProfileError, match=r"afcc.truncations: clusters of layer 9 are needed, .* 1, 2, 3"):
        designs.designs(changed(truncations=[9]))
    with pytest.raises(profiles.ProfileError, match=r"afcc.cuts: clusters of layer 6 are needed"):
        head_study.task(changed(cuts=[2, 6]))
    with pytest.raises(profiles.ProfileError, match="profile tiny has no group afcc; copy it from one of"):
        study.seeded(run_of(afcc=None))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"budgets": [1.5]}, "afcc.budgets: 1.5 given"),
        ({"thresholds": [0]}, "afcc.thresholds"),
        ({"seeds": []}, "afcc.seeds: nothing given"),
        ({"groups": [1]}, "afcc.groups: 1 given, at least 2"),
        ({"first_layers": [1]}, "afcc.first_layers: 1 given, at least 2"),
        ({"overlaps": [1, 1]}, "afcc.overlaps: 1, 1 given, each number once"),
        ({"overlaps": []}, "afcc.overlaps: nothing given, at least one is needed"),
        ({"overlaps": [2, 3]}, "afcc.overlaps: 2, 3 given, 1 has to be among them"),
        ({"scores": ["margins"]}, r"afcc.scores: 'margins' is none of covered, margin; did you mean margin\?"),
        ({"learning_rate": 0.0}, "afcc.learning_rate: 0.0 given"),
        ({"rounds": 0}, "afcc.rounds: 0 given, at least 1"),
    ],
)
def test_mistakes_in_the_group_are_named(values, message):
    with pytest.raises(profiles.ProfileError, match=message):
        run_of(afcc=GROUP | values)
