"""Heads on a frozen network for some of its labels: the same as a run of their own would give, and what they are."""

import dataclasses

import numpy as np
import pytest
from tests.conftest import forget_caches

from singlefilter import data, profiles
from singlefilter.method import clusters, fields, statistics
from singlefilter.method import heads as heads_
from singlefilter.pipeline import stages
from singlefilter.studies.growth import frozen, series, tables

DATA = {"name": "glyphs", "labels": 6, "train_per_label": 12, "test_per_label": 5, "seed": 1}
HEADS = {"epochs": 2, "batch": 10, "learning_rate": 0.05, "flip": False, "shift": 0}
HEADS |= {"kinds": ["flat"], "cuts": [2, 8]}
GROUP = {"frozen": True, "data": DATA, "counts": [3, 6], "subsets": 2, "train_per_label": 10, "heads": HEADS}
PROFILE = {
    "name": "tiny",
    "purpose": "frozen",
    "minutes": 1,
    "data": DATA,
    "network": {"depth": 11, "width": 2},
    "training": {"epochs": 1, "batch": 10, "learning_rate": 0.05, "flip": False},
    "heads": HEADS,
    "analysis": {"resamples": 100},
    "by_labels": GROUP,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SINGLEFILTER_HOME", str(tmp_path_factory.mktemp("frozen")))
        forget_caches()
        yield stages.Run(profiles.from_mapping(PROFILE, "test"))
    forget_caches()


def test_one_row_a_subset_and_layer(run):
    table = tables.networks_by_labels(run)
    rows = sorted(table[["labels", "subset", "layer"]].itertuples(index=False, name=None))
    assert rows == [(labels, subset, layer) for labels, subset in ((3, 0), (3, 1), (6, 0)) for layer in (2, 8)]
    assert set(table["curve"]) == {series.PER_LABEL} and set(table["images"]) == {10}
    assert series.by_labels(run) == [] and len(frozen.tasks(run)) == 1
    assert set(tables.curves(run)) == {
        "VGG-11, d = 2", "VGG-11, d = 2, all labels, answers restricted", "VGG-11, d = 2 cut after layer 2"
    }  # fmt: skip
    assert tables.claims(run)["claim"].to_list() == ["C4", "C5", "C6"]
    assert set(tables.trends_by_labels(run)["network"]) == {"VGG-11, d = 2, heads on K labels"}


def test_heads_of_a_subset_are_measured_as_anywhere_else(run):
    """From the weights that the same batches give: field matrices, answers and d' by the functions of all runs."""
    labels, draw = 3, 1
    chosen = data.drawn_labels(6, labels, draw)
    splits = {name: data.part(split, chosen) for name, split in stages.splits(run).items()}
    splits["train"] = data.part(stages.splits(run)["train"], chosen, 10)
    model, points = stages.network(run)[0], stages.flat_points(run)
    settings = frozen.task(run).settings
    every = {name: frozen._maps(model, points, split) for name, split in stages.splits(run).items()}
    train = data.part(stages.splits(run)["train"], tuple(range(6)), 10)
    every["train"] = frozen._maps(model, points, train)
    rows, weights = frozen._of_subset(run, points, every, settings, chosen)
    measured = {name: fields.measure(model, points, weights, split) for name, split in splits.items()}
    for row, point in zip(rows, points, strict=True):
        assert row["accuracy"] == pytest.approx(measured["test"].correct[point.name].double().mean().item())
        assert row["dprime"] == pytest.approx(np.nanmean(measured["train"].dprime[point.name].numpy()), rel=1e-3)
        matrices = fields.field_matrices(measured["train"].class_means[point.name], weights[point.name])
        clipped = clusters.clip(matrices)
        expected = statistics.layer_statistics(statistics.count_filters(clipped, clusters.find(clipped)), labels)
        assert {name: row[name] for name in ("N_c", "C_s", "n", "snr")} == pytest.approx(
            {name: expected[name] for name in ("N_c", "C_s", "n", "snr")}, nan_ok=True
        )
    stored = tables.networks_by_labels(run).query("labels == 3 and subset == 1")
    np.testing.assert_allclose(stored["accuracy"], [row["accuracy"] for row in rows])


def test_little_training_does_not_pass_for_few_labels(run):
    config = dataclasses.replace(run.profile.by_labels, steps=30)
    longer = dataclasses.replace(run, profile=dataclasses.replace(run.profile, by_labels=config))
    epochs = tables.networks_by_labels(longer).groupby("labels")["epochs"].first()
    assert epochs.to_dict() == {3: 10, 6: 5}  # 3 and 6 steps an epoch


def test_restricted_answers_are_those_of_the_head_on_all_labels(run):
    found = tables.restricted_by_labels(run).set_index(["labels", "subset"])["accuracy"]
    whole = tables.networks_by_labels(run).query("labels == 6 and layer == 8")["accuracy"].item()
    assert found[6, 0] == pytest.approx(whole)
    assert set(found.index) == {(3, 0), (3, 1), (6, 0)} and (found[3] >= whole - 0.35).all()


def test_an_interrupted_series_does_not_begin_anew(run, tmp_path, monkeypatch):
    settings = frozen.task(run).settings
    frozen.build(run, settings, tmp_path)
    first = (tmp_path / "observations.csv").read_bytes()
    (tmp_path / "observations.csv").unlink()
    monkeypatch.setattr(heads_, "fit_features", None)
    frozen.build(run, settings, tmp_path)
    assert (tmp_path / "observations.csv").read_bytes() == first


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (
            {"heads": HEADS | {"flip": True}},
            "by_labels.frozen: maps are computed once, .* heads.flip has to be false",
        ),
        (
            {"heads": HEADS | {"kinds": ["flat", "pooled"]}},
            "by_labels.frozen: heads.kinds flat, pooled given",
        ),
        ({"data": DATA | {"labels": 5}}, "by_labels.data: the frozen network is shown the profile's own images"),
    ],
)
def test_what_does_not_fit_is_said(group, message):
    with pytest.raises(profiles.ProfileError, match=message):
        profiles.from_mapping(PROFILE | {"by_labels": GROUP | group}, "test")
