"""Networks in a row: which ones, on which labels and images, and what is read from them."""

import dataclasses
import logging
import math

import numpy as np
import pytest
import torch

from singlefilter import data, profiles
from singlefilter.method import clusters, fields, heads, statistics
from singlefilter.pipeline import stages
from singlefilter.studies.growth import series

GROUPS = {
    "data": {"name": "glyphs", "labels": 6, "train_per_label": 12, "test_per_label": 5},
    "training": {"epochs": 1, "batch": 10, "learning_rate": 0.05, "flip": False},
    "heads": {"epochs": 1, "batch": 10, "flip": False, "kinds": ["flat"], "cuts": [1, 2, 13]},
    "seeds": [1, 2],
    "train_per_label": 6,
}
BY_LABELS = GROUPS | {"counts": [3, 6], "subsets": 2, "depths": [11, 8], "width": 2, "in_all": 18}
BY_WIDTH = GROUPS | {"widths": [4, 2], "depths": [11, 8]}


def run_of(**groups) -> stages.Run:
    content = {"name": "tiny", "purpose": "series", "minutes": 1, "seed": 7, "data": GROUPS["data"]}
    return stages.Run(profiles.from_mapping(content | groups, "test"))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished series over labels, in a project folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SINGLEFILTER_HOME", str(tmp_path_factory.mktemp("series")))
        run = run_of(by_labels=BY_LABELS)
        items = series.by_labels(run)
        series.complete(items, jobs=1)
        yield run, items


def test_a_network_for_every_number_subset_seed_depth_and_curve(home):
    items = series.by_labels(run_of(by_labels=BY_LABELS))
    found = sorted((item.curve, item.depth, item.labels, item.subset, item.seed) for item in items)
    per_label = [
        (series.PER_LABEL, depth, labels, subset, seed)
        for depth, seeds in ((8, (1,)), (11, (1, 2)))
        for labels, subset in ((3, 0), (3, 1), (6, 0))
        for seed in seeds
    ]
    in_all = [(series.IN_ALL, 11, labels, subset, 1) for labels, subset in ((3, 0), (3, 1), (6, 0))]
    assert found == sorted(per_label + in_all)
    images = {(item.curve, item.labels): item.run.profile.part.train_per_label for item in items}
    assert images == {
        (series.PER_LABEL, 3): 6,
        (series.PER_LABEL, 6): 6,
        (series.IN_ALL, 3): 6,
        (series.IN_ALL, 6): 3,
    }
    shared = {item.run for item in items if item.curve == series.IN_ALL} & {
        item.run for item in items if item.curve == series.PER_LABEL
    }
    assert {run.profile.part.labels for run in shared} == {3}  # trained once, though it is in both curves
    assert len(shared) == 2


def test_the_second_curve_begins_where_there_are_images_enough(home):
    items = series.by_labels(run_of(by_labels=BY_LABELS | {"counts": [3, 4, 6], "in_all": 24}))
    assert {item.labels for item in items if item.curve == series.IN_ALL} == {4, 6}
    items = series.by_labels(run_of(by_labels=BY_LABELS | {"in_all": 0}))
    assert {item.curve for item in items} == {series.PER_LABEL}


def test_cuts_end_with_the_last_layer_of_each_depth(home):
    items = series.by_labels(run_of(by_labels=BY_LABELS)) + series.by_width(run_of(by_width=BY_WIDTH))
    assert {(item.depth, item.run.profile.heads.cuts) for item in items} == {(11, (1, 2, 8)), (8, (1, 2, 5))}
    only_last = BY_WIDTH | {"heads": GROUPS["heads"] | {"cuts": [13]}}
    assert {item.run.profile.heads.cuts for item in series.by_width(run_of(by_width=only_last))} == {(8,), (5,)}


def test_all_networks_see_the_same_images_whatever_their_seed(home):
    items = series.by_labels(run_of(by_labels=BY_LABELS))
    assert {item.run.profile.data.seed for item in items} == {7}
    first, second = (item.run for item in items if (item.labels, item.depth, item.curve) == (6, 11, series.PER_LABEL))
    assert first.profile.seed != second.profile.seed
    assert torch.equal(stages.splits(first)["train"].images, stages.splits(second)["train"].images)


def test_few_labels_do_not_mean_few_steps(home):
    run = run_of(by_labels=BY_LABELS | {"steps": 12, "training": GROUPS["training"] | {"epochs": 3}})
    for item in series.by_labels(run):
        profile, labels = item.run.profile, item.labels
        per_epoch = math.ceil(labels * profile.part.train_per_label / 10)
        assert profile.training.epochs * per_epoch >= 12
        assert profile.training.epochs == max(3, math.ceil(12 / per_epoch))
        base, longer = run.profile.by_labels.heads, profile.heads
        stretch = max(1, 12 / per_epoch / 3)
        assert longer.epochs == math.ceil(base.epochs * stretch)
        assert longer.factor**stretch == pytest.approx(base.factor)


def test_more_labels_than_there_are(home):
    with pytest.raises(profiles.ProfileError, match=r"by_labels.counts: 7 labels asked for, .* has 6 here"):
        series.by_labels(run_of(by_labels=BY_LABELS | {"counts": [3, 7]}))


def test_fewer_subsets_than_asked_for_are_said_once(home, caplog):
    with caplog.at_level(logging.INFO):
        items = series.by_labels(run_of(by_labels=BY_LABELS | {"subsets": 10, "counts": [5, 6]}))
    assert {labels: sum(i.labels == labels and i.depth == 8 for i in items) for labels in (5, 6)} == {5: 6, 6: 1}
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.INFO]
    assert [record.getMessage() for record in caplog.records] == [
        "profile tiny: by_labels.subsets is 10, but of 5 among 6 labels there are 6 choices, and so many are used",
        "profile tiny: by_labels.subsets is 10, but of 6 among 6 labels there is 1 choice, and so many are used",
    ]


def test_a_profile_without_the_group(home):
    with pytest.raises(profiles.ProfileError, match="tiny has no group by_labels; copy it from one of .*quick"):
        series.by_labels(run_of())
    with pytest.raises(profiles.ProfileError, match="tiny has no group by_width"):
        series.by_width(run_of())


def test_observations_are_what_the_stages_hold(done):
    _, items = done
    table = series.observations(items)
    assert len(table) == 3 * len(items)  # three cuts each
    item = items[-1]
    for point in stages.points(item.run):
        row = table[
            (
                table[["curve", "depth", "labels", "subset", "seed"]]
                == [item.curve, item.depth, item.labels, item.subset, item.seed]
            ).all(axis=1)
            & (table["layer"] == point.cut.layer)
        ].squeeze()
        measured, weights = stages.measurement(item.run), stages.heads(item.run)[0]
        matrices = fields.field_matrices(measured.class_means[point.name], weights[point.name])
        clipped = clusters.clip(matrices)
        counted = statistics.count_filters(clipped, clusters.find(clipped))
        expected = statistics.layer_statistics(counted, item.labels)
        for name in ("N_c", "C_s", "n", "snr"):
            assert row[name] == pytest.approx(expected[name], nan_ok=True)
        answers = stages.measurement(item.run, "test").correct[point.name]
        assert row["error"] == pytest.approx(1 - answers.double().mean().item())
        assert row["covered"] == counted["covered"].mean()
        assert row["filters"] == point.cut.filters
    assert set(table["images"]) == {3, 6}


def test_the_restricted_control_asks_only_about_the_subset(done):
    _, items = done
    table = series.restricted(items)
    assert len(table) == 3 * 2  # the subsets of 3, 3 and 6 labels; two networks on all labels
    item = next(item for item in items if item.labels == 6 and item.depth == 11 and item.curve == series.PER_LABEL)
    split, model = stages.splits(item.run)["test"], stages.network(item.run)[0]
    point = stages.points(item.run)[-1]
    logits = heads.logits(model, point, stages.heads(item.run)[0][point.name], split, batch=7).numpy()
    for row in table[table["seed"] == item.seed].itertuples():
        drawn = data.drawn_labels(6, row.labels, row.subset)
        right = [
            max(drawn, key=lambda label, image=image: logits[image, label]) == truth
            for image, truth in enumerate(split.labels.tolist())
            if truth in drawn
        ]
        assert row.accuracy == pytest.approx(np.mean(right))
    whole = stages.measurement(item.run, "test").correct[point.name].double().mean().item()
    everything = table[(table["labels"] == 6) & (table["seed"] == item.seed)].squeeze()
    assert everything["accuracy"] == pytest.approx(whole)


def test_the_control_needs_a_network_on_all_labels(done):
    run, items = done
    with pytest.raises(ValueError, match="network on all 6 labels; add 6 to by_labels.counts"):
        series.restricted([item for item in items if item.labels == 3])


def test_noise_of_every_filter_at_the_last_cut(home):
    run = run_of(by_width=BY_WIDTH | {"seeds": [1], "heads": GROUPS["heads"] | {"cuts": [13]}})
    items = series.by_width(run)
    series.complete(items, jobs=1)
    table = series.noise(items)
    assert table.groupby(["depth", "width", "filters"]).size().to_dict() == {
        (depth, width, 8 * width): 8 * width for depth in (8, 11) for width in (2, 4)
    }
    one = items[0]
    means = series.observations([one])["n"].iloc[-1]
    assert table[(table["depth"] == one.depth) & (table["width"] == one.width)]["noise"].mean() == pytest.approx(
        means
    )


def test_a_part_of_the_labels_in_the_network_and_its_key(home):
    whole = run_of()
    part = dataclasses.replace(whole, profile=dataclasses.replace(whole.profile, part=profiles.Part(3, 1, 4)))
    drawn = data.drawn_labels(6, 3, 1)
    split, all_images = stages.splits(part), stages.splits(whole)
    assert split["train"].names == tuple(all_images["train"].names[label] for label in drawn)
    assert len(split["train"]) == 12 and len(split["test"]) == 15
    for place, label in enumerate(drawn):
        mine = split["train"].images[split["train"].labels == place]
        assert torch.equal(mine, all_images["train"].images[all_images["train"].labels == label][:4])
    assert stages.folders(part)["train"] != stages.folders(whole)["train"]


def test_provenance_counts_what_is_trained(done):
    run, items = done
    found = series.provenance(run)
    assert found.keys() == {"by_labels"}
    of = found["by_labels"]
    networks = {item.run for item in items}
    assert (of["networks"], of["stages"], of["stages_done"]) == (len(networks), 4 * len(networks), 4 * len(networks))
    assert of["seconds"] >= 0 and len(of["commits"]) == len(of["machines"]) == len(of["versions"]) == 1
