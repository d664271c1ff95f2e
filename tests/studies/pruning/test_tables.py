"""What figures of pruning are drawn from: means and paired differences over seeds, worked out again by loops."""

import numpy as np
import pandas as pd
import pytest
import torch
from tests.conftest import one_by_one
from tests.studies.pruning.test_study import GROUP, PROFILE

from singlefilter import figures, profiles
from singlefilter.method.statistics import percentile_interval
from singlefilter.pipeline import stages
from singlefilter.studies.growth import series
from singlefilter.studies.pruning import claims, convolution_study, filters, head_study, latency, network_study, study
from singlefilter.studies.pruning import tables as pruning_tables

SHORT = {"epochs": 1, "batch": 10, "learning_rate": 0.05, "flip": False}
BY_WIDTH = {
    "data": {"name": "glyphs", "labels": 4, "train_per_label": 5, "test_per_label": 5},
    "train_per_label": 5,
    "widths": [3, 2],
    "depths": [8, 11],
    "seeds": [1, 2],
    "training": SHORT,
    "heads": SHORT | {"kinds": ["flat"], "cuts": [2, 5]},
}
ENDS = ("accuracy", "low", "high")
GROUPS = {"afcc": GROUP | {"seeds": [2, 1]}, "by_width": BY_WIDTH}


def run_of(**groups) -> stages.Run:
    return stages.Run(profiles.from_mapping(PROFILE | groups, "test"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The finished study of two seeds, done one by one in this process."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SINGLEFILTER_HOME", str(tmp_path_factory.mktemp("summaries")))
        patch.setattr("singlefilter.pipeline.sweeps.complete", one_by_one)
        patch.setattr(latency, "SECONDS", 0.001)
        made = run_of(**GROUPS)
        study.complete(made)
        yield made
    for cached in (filters.clusters_at, study._ensure, study.observed):
        cached.cache_clear()


def test_provenance_counts_what_is_retrained(run):
    for one in pruning_tables.width_tasks(run):
        one.complete()
    found = pruning_tables.provenance(run)["afcc"]
    assert found["tasks"] == found["stages"] == found["stages_done"] == len(pruning_tables.tasks(run))
    assert found["seconds"] >= 0 and len(found["commits"]) == len(found["machines"]) == 1
    assert pruning_tables.provenance(run_of(afcc=None)) == {}


def in_order(run: stages.Run) -> list[stages.Run]:
    """The run from each seed, in the order in which seeds are resampled."""
    return sorted(study.seeded(run), key=lambda one: one.profile.seed)


def answers_of(observed: list[tuple[pd.DataFrame, list[torch.Tensor]]], **values) -> list[np.ndarray]:
    """Right answers of the one row with these values at each seed."""
    found = []
    for table, right in observed:
        (place,) = [k for k, row in enumerate(table.to_dict("records")) if values.items() <= row.items()]
        found.append(right[place].numpy().astype(float))
    return found


def expected(run: stages.Run, one: list[np.ndarray], other: list[np.ndarray] | None = None) -> list[float]:
    """Mean over seeds and images of one network, or of its difference to another, and the ends of its interval."""
    values = np.stack(one) if other is None else np.stack([a - b for a, b in zip(one, other, strict=True)])
    _, drawn = claims.paired(values[..., None], run.profile.analysis.resamples, run.profile.seed)
    low, high = percentile_interval(drawn[:, 0])
    return [sum(map(np.sum, values)) / values.size, low, high]


@pytest.mark.parametrize(
    ("summary", "of_seed", "place", "knob"),
    [
        (pruning_tables.masked_heads, head_study.observations, ["layer"], "threshold"),
        (
            pruning_tables.masked_convolutions,
            convolution_study.observations,
            ["first_layer", "last_layer"],
            "overlap",
        ),
    ],
)
def test_every_row_is_a_mean_over_seeds_and_compared_with_dense_and_afcc(run, summary, of_seed, place, knob):
    table = summary(run)
    observed = [of_seed(one) for one in in_order(run)]
    assert len(table) == len(observed[0][0]) and set(table["seeds"]) == {2} and set(table["seed"]) == {"2, 1"}
    assert not table.duplicated([*place, "moment", "method", knob]).any()
    for row in table.to_dict("records"):
        at = {name: row[name] for name in (*place, "moment")}
        own = at | {"method": row["method"]} | ({} if row["method"] == "dense" else {knob: row[knob]})
        right = answers_of(observed, **own)
        dense = answers_of(observed, **at, method="dense")
        assert [row[name] for name in ENDS] == pytest.approx(expected(run, right)), own
        found = [row[f"difference{end}"] for end in ("", "_low", "_high")]
        assert found == pytest.approx(expected(run, right, dense)), own
        ahead = [row[f"ahead{end}"] for end in ("", "_low", "_high")]
        if row["method"] in ("dense", "afcc"):
            assert np.isnan(ahead).all()
        else:
            afcc = answers_of(observed, **own | {"method": "afcc"})
            assert ahead == pytest.approx(expected(run, afcc, right)), own
        kept = [each for of, _ in observed for each in of.loc[_same(of, own), "kept_fraction"]]
        assert row["kept_fraction"] == pytest.approx(np.mean(kept)) and len(kept) == 2
        assert row["images"] == 20


def _same(table: pd.DataFrame, values: dict) -> np.ndarray:
    return np.logical_and.reduce([table[name] == value for name, value in values.items()])


def test_the_threshold_in_use_is_marked(run):
    table = pruning_tables.masked_heads(run)
    assert set(table.loc[table["used"] == 1, "threshold"].dropna()) == {0.3}
    assert table.loc[table["method"] == "dense", "used"].all()
    assert set(table.loc[table["used"] == 0, "threshold"]) == {0.2}


def test_truncated_networks_as_trained_and_retrained(run):
    table = pruning_tables.truncated(run).set_index("layer")
    assert list(table.index) == [1, 2, 3, 4, 5] and table["levels_off"].sum() == 2
    seeds = in_order(run)
    observed = [network_study.observations(one) for one in seeds]
    for layer, row in table.iterrows():
        name = filters.flat_points(run)[layer].name
        right = [stages.measurement(one, "test").correct[name].numpy().astype(float) for one in seeds]
        assert row[list(ENDS)].tolist() == pytest.approx(expected(run, right))
        again = row[["retrained", "retrained_low", "retrained_high"]].astype(float)
        if layer == 4:
            right = answers_of(observed, design="cut 4", moment="after")
            assert again.tolist() == pytest.approx(expected(run, right))
        else:
            assert again.isna().all()
    cut = [row for row in observed[0][0].to_dict("records") if row["design"] == "cut 4"][0]
    assert table.loc[4, ["parameters", "multiply_adds"]].tolist() == [cut["parameters"], cut["multiply_adds"]]
    assert table.loc[5, ["parameters_part", "multiply_adds_part"]].tolist() == [1, 1]
    assert set(table["within"]) == {0.005} and table["parameters"].dtype.kind == "i"


def test_heads_of_every_width_at_the_last_cut(run):
    table = pruning_tables.masked_heads_by_width(run)
    assert len(table) == 2 * 2 * 6 and set(table["layer"]) == {5} and set(table["threshold"].dropna()) == {0.3}
    assert table.groupby("width")["filters"].unique().to_dict() == {2: [16], 3: [24]}
    assert set(table["network"]) == {"VGG-8, d = 2 to 3"} and set(table["seed"]) == {"1, 2"}
    deep = [item for item in series.by_width(run) if item.depth == 8]
    for width, rows in table.groupby("width"):
        own = [item.run for item in deep if item.width == width]
        right = [stages.measurement(one, "test").correct["layer5_flat"].numpy().astype(float) for one in own]
        dense = rows[(rows["method"] == "dense") & (rows["moment"] == "before")].iloc[0]
        assert [dense[name] for name in ENDS] == pytest.approx(expected(run, right))
        covered = [(filters.clusters_at(one, 5, 0.3) >= 0).float().mean().item() for one in own]
        afcc = rows[rows["method"] == "afcc"]
        assert afcc["kept_fraction"].tolist() == pytest.approx([np.mean(covered)] * 2)


def test_widths_are_tasks_of_their_own_that_are_done_once(run, monkeypatch):
    pruning_tables.masked_heads_by_width(run)
    tasks = pruning_tables.width_tasks(run)
    assert len(tasks) == 4 and len({task.folder() for task in tasks}) == 4

    def started(*_):
        raise AssertionError("started")

    monkeypatch.setattr(head_study, "build", started)
    for task in pruning_tables.width_tasks(run):
        task.complete()


def test_profiles_without_widths_or_without_pruning(run):
    without = run_of(afcc=GROUPS["afcc"])
    assert pruning_tables.masked_heads_by_width(without).empty and pruning_tables.width_tasks(without) == []
    with pytest.raises(profiles.ProfileError, match="profile tiny has no group afcc; copy it from one of"):
        pruning_tables.width_tasks(run_of(by_width=BY_WIDTH, afcc=None))


def test_a_seed_without_a_mask_is_left_out_of_what_it_cannot_be_compared_with(run, monkeypatch):
    """AFCC is right on images 0 and 1 at seed 1 only, random on image 0 at both, dense on all."""
    place = {"layer": 1, "filters": 2, "positions": 1, "moment": "after", "images": 4}
    rows, right = [], []
    for seed in (1, 2):
        for method, threshold, kept, number in (
            ("dense", np.nan, 1.0, 4),
            ("afcc", 0.3, 0.1, 2),
            ("random", 0.3, 0.2, 1),
        ):
            if (method, seed) != ("afcc", 2):
                rows.append(place | {"seed": seed, "method": method, "threshold": threshold, "kept_fraction": kept})
                right.append(torch.arange(4) < number)
    monkeypatch.setattr(study, "observed", lambda *_: (pd.DataFrame(rows), right))
    table = pruning_tables.masked_heads(run).set_index("method")
    assert table["seeds"].to_dict() == {"dense": 2, "afcc": 1, "random": 2}
    assert table["accuracy"].to_dict() == {"dense": 1.0, "afcc": 0.5, "random": 0.25}
    assert table["difference"].to_dict() == {"dense": 0.0, "afcc": -0.5, "random": -0.75}
    assert table.loc["random", "ahead"] == 0.25 and table.loc[["dense", "afcc"], "ahead"].isna().all()
    rows, right = [row for row in rows if row["method"] != "afcc"], right[:1] + right[2:]
    monkeypatch.setattr(study, "observed", lambda *_: (pd.DataFrame(rows), right))
    assert pruning_tables.masked_heads(run)[["ahead", "ahead_low", "ahead_high"]].isna().all(axis=None)


def test_images_are_resampled_alike_for_all_that_is_compared(run):
    """A mask that is right on the same images as dense has no interval, however few images there are."""
    rng = np.random.default_rng(0)
    right = {seed: torch.from_numpy(rng.random(50) < 0.5) for seed in (1, 2, 3)}
    value, low, high = pruning_tables._ends(run, [pruning_tables._minus(right, right)])[0]
    assert value == low == high == 0
    one = pruning_tables._ends(run, [pruning_tables._stacked(right)])[0]
    assert one[1] < one[0] < one[2]
    assert np.isnan(pruning_tables._ends(run, [pruning_tables._stacked({})])).all()


@pytest.mark.filterwarnings("error")
def test_every_table_draws(run):
    made = {
        "masked_heads": pruning_tables.masked_heads(run),
        "masked_heads_by_width": pruning_tables.masked_heads_by_width(run),
        "masked_convolutions": pruning_tables.masked_convolutions(run),
        "truncation": pruning_tables.truncated(run),
        "smaller_networks": study.pareto(run),
    }
    for name, table in made.items():
        columns = set(figures.FIGURES[name].columns) - {"profile", "data", "network", "seed"}
        assert columns <= set(table), name
        figures.preview(run, name, table)
