"""Tables of growth, from a profile with networks that train in no time."""

import collections
import types

import numpy as np
import pandas as pd
import pytest
import torch
from tests.conftest import one_by_one

from singlefilter import drawing, profiles
from singlefilter.figures import registry
from singlefilter.method import statistics
from singlefilter.pipeline import stages
from singlefilter.studies.growth import laws, series, summaries
from singlefilter.studies.growth import tables as growth

DATA = {"name": "glyphs", "labels": 6, "train_per_label": 10, "test_per_label": 4}
SHORT = {
    "data": DATA,
    "training": {"epochs": 1, "batch": 10, "learning_rate": 0.05, "flip": False},
    "heads": {"epochs": 1, "batch": 10, "flip": False, "kinds": ["flat"], "cuts": [2, 4, 13]},
    "train_per_label": 5,
}
BY_LABELS = SHORT | {"counts": [3, 4, 5, 6], "subsets": 2, "depths": [11, 8], "width": 2, "in_all": 20}
BY_WIDTH = SHORT | {"widths": [2, 4], "depths": [11, 8], "seeds": [1, 2]}
FIRST, IN_ALL, RESTRICTED = "VGG-11", "VGG-11, images in all fixed", "VGG-11, all labels, answers restricted"
EARLY = ["VGG-11 cut after layer 2", "VGG-11 cut after layer 4"]
RESAMPLES = 100


def run_of(name: str = "tiny", **groups) -> stages.Run:
    content = {"name": name, "purpose": "growth", "minutes": 1, "seed": 7, "data": DATA}
    return stages.Run(profiles.from_mapping(content | {"analysis": {"resamples": RESAMPLES}} | groups, "test"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project folder in which networks are trained once for all tests, one by one in this process."""
    made = tmp_path_factory.mktemp("growth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SINGLEFILTER_HOME", str(made))
        patch.setattr("singlefilter.pipeline.sweeps.complete", one_by_one)
        yield made
    growth.networks_by_labels.cache_clear()
    growth.restricted_by_labels.cache_clear()


@pytest.fixture(scope="module")
def done(folder) -> stages.Run:
    return run_of(by_labels=BY_LABELS, by_width=BY_WIDTH)


@pytest.fixture(scope="module")
def observed(done) -> pd.DataFrame:
    """What the stages hold of every network of `by_labels`, which `test_series.py` checks."""
    return series.observations(series.by_labels(done))


def interval_of(networks: pd.DataFrame, column: str, shows: str) -> tuple[float, ...]:
    table = summaries.summaries(networks, column, RESAMPLES, 7).set_index("shows").loc[shows]
    return table["value"], table["low"], table["high"]


def last_cut(observed: pd.DataFrame) -> pd.DataFrame:
    """The networks that are claimed about."""
    table = observed[(observed["curve"] == series.PER_LABEL) & (observed["depth"] == 11)]
    return table[table["layer"] == 8]


def test_curves_in_the_order_of_the_figure(done):
    found = growth.curves(done)
    assert list(found) == [FIRST, IN_ALL, RESTRICTED, *EARLY, "VGG-8"]
    assert {name: set(rows["layer"]) for name, rows in found.items()} == {
        FIRST: {8},
        IN_ALL: {8},
        RESTRICTED: {8},
        EARLY[0]: {2},
        EARLY[1]: {4},
        "VGG-8": {5},
    }
    for rows in found.values():
        assert not rows.duplicated(["labels", "subset", "seed"]).any()


def test_errors_are_summaries_of_what_the_series_hold(done, observed):
    table = growth.error_by_labels(done)
    assert set(registry.FIGURES["error_by_labels"].columns) - {"profile"} == set(table)
    networks = last_cut(observed)
    for labels, at_k in networks.groupby("labels"):
        for shows in ("mean", "max"):
            row = table[
                (table["series"] == FIRST) & (table["labels"] == labels) & (table["shows"] == shows)
            ].squeeze()
            assert (row["error"], row["low"], row["high"]) == pytest.approx(_in_curve(networks, labels, shows))
            assert (row["subsets"], row["networks"]) == ((1, 1) if labels == 6 else (2, 2))
            assert (row["images"], row["epochs"]) == (5, 1)
        assert len(at_k) == (1 if labels == 6 else 2)
    fixed = table[table["series"] == IN_ALL]
    assert dict(zip(fixed["labels"], fixed["images"], strict=True)) == {4: 5, 5: 4, 6: 3}  # 20 images in all
    assert set(table["data"]) == {drawing.GLYPHS} and set(table["network"]) == {"VGG-11, VGG-8, d = 2"}
    assert set(table["seed"]) == {"1"}


def _in_curve(networks: pd.DataFrame, labels: int, shows: str) -> tuple[float, ...]:
    table = summaries.summaries(networks, "error", RESAMPLES, 7)
    row = table[(table["labels"] == labels) & (table["shows"] == shows)].squeeze()
    return row["value"], row["low"], row["high"]


def test_the_restricted_curve_is_of_the_networks_on_all_labels(done):
    table = growth.error_by_labels(done)
    networks = series.restricted(series.by_labels(done))
    of = table[(table["series"] == RESTRICTED) & (table["shows"] == "mean")].set_index("labels")
    expected = networks.groupby("labels")["error"].mean()
    np.testing.assert_allclose(of["error"].loc[expected.index], expected)
    assert list(of["subsets"]) == [2, 2, 2, 1]
    assert set(of["images"]) == {5} and set(of["epochs"]) == {1}  # the recipe of the networks on all labels
    whole = table[(table["series"] == FIRST) & (table["shows"] == "mean") & (table["labels"] == 6)].squeeze()
    assert of["error"].loc[6] == pytest.approx(whole["error"])  # restricted to all labels is not restricted


def test_epochs_are_those_at_each_number_of_labels(done):
    longer = run_of(by_labels=BY_LABELS | {"counts": [3, 6], "depths": [8], "in_all": 0, "steps": 3})
    table = growth.error_by_labels(longer)
    epochs = table.set_index(["series", "labels"])["epochs"]
    assert set(epochs.loc["VGG-8", 3]) == {2} and set(epochs.loc["VGG-8", 6]) == {1}  # 2 and 3 steps an epoch
    assert set(epochs.loc["VGG-8, all labels, answers restricted"]) == {1}


def test_laws_of_every_curve_with_four_numbers_of_labels(done, observed):
    table = growth.laws_of_error(done)
    assert set(registry.FIGURES["laws_of_error"].columns) - {"profile"} == set(table)
    fitted = table[["series", "shows"]].drop_duplicates()
    assert list(fitted.itertuples(index=False, name=None)) == [
        (FIRST, "mean"),
        (FIRST, "max"),
        (RESTRICTED, "mean"),
        (EARLY[0], "mean"),
        (EARLY[1], "mean"),
        ("VGG-8", "mean"),
    ]  # with the images in all fixed there are three
    networks = last_cut(observed)
    for shows in ("mean", "max"):
        of = table[(table["series"] == FIRST) & (table["shows"] == shows)].set_index("law")
        expected = laws.compare(networks, "error", shows, RESAMPLES, 7).set_index("law")
        columns = ["a", "b", "exponent", "exponent_low", "exponent_high", "delta", "held_out"]
        pd.testing.assert_frame_equal(of.loc[list(laws.LAWS), columns], expected[columns], check_dtype=False)
        family = laws.family_exponent(networks, "error", shows, RESAMPLES, 7)
        found = of.loc[laws.FAMILY, ["exponent", "exponent_low", "exponent_high"]]
        np.testing.assert_allclose(found.to_numpy(float), family)
    assert set(table["K"]) == {4}


def test_three_numbers_of_labels_are_too_few_for_laws(done):
    few = run_of(by_labels=BY_LABELS | {"counts": [3, 4, 6]})
    with pytest.raises(ValueError, match=r"no curve has 4 different K; name more in by_labels\.counts"):
        growth.laws_of_error(few)


def test_statistics_of_each_cut(done, observed):
    table = growth.statistics_by_labels(done)
    assert set(registry.FIGURES["statistics_by_labels"].columns) - {"profile"} <= set(table)
    assert list(table["layer"].unique()) == [2, 4, 8] and set(table["network"]) == {"VGG-11, d = 2"}
    networks = last_cut(observed)
    for labels, at_k in networks.groupby("labels"):
        row = table[(table["layer"] == 8) & (table["labels"] == labels)].squeeze()
        for name in growth.QUANTITIES:
            expected = interval_of(at_k, name, "mean")
            assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx(expected), name


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_a_quantity_that_one_network_lacks_is_missing(done, observed, monkeypatch, missing):
    networks = observed.copy()
    one = (networks[["curve", "depth", "labels", "subset", "layer"]] == [series.PER_LABEL, 11, 3, 1, 8]).all(axis=1)
    networks.loc[one, "snr"] = missing
    monkeypatch.setattr(growth, "networks_by_labels", lambda _: networks)
    table = growth.statistics_by_labels(done).set_index(["layer", "labels"])
    assert table.loc[(8, 3), ["snr", "snr_low", "snr_high"]].isna().all()
    assert table["snr"].notna().sum() == len(table) - 1 and table["n"].notna().all()


def test_trends_hold_every_network_of_the_first_depth(done, observed):
    table = growth.trends_by_labels(done)
    assert set(registry.FIGURES["trends_by_labels"].columns) - {"profile"} == set(table)
    assert len(table) == (2 + 2 + 2 + 1) * 3  # networks, cuts
    networks = last_cut(observed)
    merged = table.merge(networks, on=["labels", "subset", "layer"], suffixes=("", "_expected"))
    assert len(merged) == len(networks)
    for name in ("accuracy", "snr"):
        np.testing.assert_array_equal(merged[name], merged[f"{name}_expected"])


def test_noise_of_every_width_with_an_interval_over_filters(done):
    table = growth.noise_by_width(done)
    assert set(registry.FIGURES["noise_by_width"].columns) - {"profile"} == set(table)
    assert len(table) == 2 * 2 * 2
    items = series.by_width(done)
    of_filters = series.noise(items)
    accuracy = series.observations(items).query("layer == 8").set_index(["width", "seed"])["accuracy"]
    for row in table.itertuples():
        own = (of_filters[["depth", "width", "seed"]] == [row.depth, row.width, row.network_seed]).all(axis=1)
        expected = statistics.mean_interval(of_filters["noise"][own].to_numpy(), RESAMPLES, 7)
        assert (row.n, row.n_low, row.n_high) == pytest.approx(tuple(map(float, expected)))
        assert row.filters == own.sum() == 8 * row.width
        if row.depth == 11:
            assert row.accuracy == accuracy[row.width, row.network_seed]
    assert set(table["network"]) == {"VGG-11, VGG-8, d = 2 to 4"} and set(table["seed"]) == {"1, 2"}
    assert set(table["labels"]) == {6} and set(table["images"]) == {5}


def test_every_table_draws(done):
    for name in ("error_by_labels", "laws_of_error", "statistics_by_labels", "trends_by_labels", "noise_by_width"):
        registry.FIGURES[name].drawn(getattr(growth, name)(done).assign(profile="tiny"))


def test_claims_for_what_the_profile_has(done):
    assert list(growth.claims(done)["claim"]) == ["C4", "C5", "C6", "C8", "C9"]
    assert list(growth.claims(run_of(by_width=BY_WIDTH))["claim"]) == ["C9"]
    assert growth.claims(run_of()).empty


def test_a_claim_is_undecided_where_a_network_is_at_chance(done, monkeypatch):
    items, of_run = series.by_width(done), stages.measurement
    idle = items[0].run

    def measurement(run, split="train"):
        if split == "train":
            return of_run(run)
        right = torch.arange(60) < (10 if run == idle else 50)  # of 6 labels
        return types.SimpleNamespace(correct=collections.defaultdict(lambda: right))

    monkeypatch.setattr(stages, "measurement", measurement)
    assert series.at_chance(items) == [idle.profile.name]
    assert series.at_chance(items[1:]) == []
    c9 = growth.claims(run_of(by_width=BY_WIDTH)).set_index("claim").loc["C9"]
    assert c9["verdict"] == "undecided" and c9["statistic"].endswith("; 1 of 8 networks at chance")


def test_a_deep_network_alone_is_not_held_against_a_shallow_one(done):
    alone = run_of(by_labels=BY_LABELS | {"depths": [11]})
    assert list(growth.claims(alone)["claim"]) == ["C4", "C5", "C6"]


def other_profile(folder, name: str, counts: tuple[int, ...]) -> None:
    rows = [
        (k, subset, 1, layer, layer / 10, float(layer)) for k in counts for subset in range(2) for layer in (2, 4, 8)
    ]
    table = pd.DataFrame(rows, columns=["labels", "subset", "seed_of_network", "layer", "accuracy", "snr"])
    table = table.assign(data="CIFAR-100", network="VGG-16, d = 8", profile=name, seed="1, 2")
    (folder / "figures" / name).mkdir(parents=True)
    table.to_csv(folder / "figures" / name / "trends_by_labels.csv", index=False)


@pytest.fixture
def c5(done, folder):
    """The claim about the whole range of K, by a run of any name, beside what other profiles left."""
    other_profile(folder, "laptop", (30, 300, 1000))
    other_profile(folder, "quick", (2000,))
    other_profile(folder, "tiny", (5000,))  # an older table of the profile itself
    yield lambda name: growth.claims(run_of(name, by_labels=BY_LABELS)).set_index("claim").loc["C5"]
    for name in ("laptop", "quick", "tiny"):
        (folder / "figures" / name / "trends_by_labels.csv").unlink()
        (folder / "figures" / name).rmdir()


def test_c5_gathers_other_profiles_but_never_a_first_look(c5):
    gathered = c5("tiny")
    assert "K from 3 to 1000" in gathered["statistic"]
    assert gathered["n"] == 7 + 6
    assert (gathered["data"], gathered["network"]) == ("embedded glyphs; CIFAR-100", "VGG-11, d = 2; VGG-16, d = 8")


def test_a_first_look_gathers_nothing(c5):
    alone = c5("quick")
    assert "K from 3 to 6" in alone["statistic"] and alone["n"] == 7
    assert alone["data"] == "embedded glyphs"
