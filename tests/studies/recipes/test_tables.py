"""The choice of a recipe: on training images held out, never on test images, and what is in the store stays known."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from tests.conftest import forget_caches

from singlefilter import data, profiles, store
from singlefilter.figures import registry
from singlefilter.method import statistics
from singlefilter.networks import training
from singlefilter.pipeline import stages
from singlefilter.studies.recipes import tables as choice


@pytest.fixture(scope="module")
def own_home(tiny_home, tmp_path_factory):
    """A copy of the tiny run, to which the networks of its recipes are added."""
    return shutil.copytree(tiny_home, tmp_path_factory.mktemp("choice") / "home")


@pytest.fixture
def tiny(own_home, monkeypatch) -> stages.Run:
    monkeypatch.setenv("SINGLEFILTER_HOME", str(own_home))
    monkeypatch.delenv("SINGLEFILTER_DATA", raising=False)
    forget_caches()
    yield stages.Run(profiles.load(own_home / "tiny.yaml"))
    forget_caches()


def held_out(of: stages.Run, number: int, **part) -> stages.Run:
    profile = of.profile
    changed = dataclasses.replace(profile.part, held_out=number, **part)
    return dataclasses.replace(of, profile=dataclasses.replace(profile, part=changed))


def with_seed(of: stages.Run, seed: int) -> stages.Run:
    images = dataclasses.replace(of.profile.data, seed=1)
    return dataclasses.replace(of, profile=dataclasses.replace(of.profile, data=images, seed=seed))


def pictures(split: data.Split) -> set[tuple[int, bytes]]:
    images = zip(split.labels.tolist(), split.images.cpu().numpy(), strict=True)
    return {(label, image.tobytes()) for label, image in images}


def numbered(*counts: int) -> data.Split:
    """As many images of each label, every one with a first pixel of its own."""
    images = torch.zeros(sum(counts), 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(len(images))
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return data.Split(images, labels, tuple(f"label {number}" for number in range(len(counts))))


def test_an_image_is_either_held_out_or_trained_on():
    rest, out = data.hold_out(numbered(5, 9, 3), 2, seed=1)
    assert rest.labels.tolist() == [0] * 3 + [1] * 7 + [2]
    assert out.labels.tolist() == [0, 0, 1, 1, 2, 2]
    first, second = (set(split.images[:, 0, 0, 0].tolist()) for split in (rest, out))
    assert first | second == set(range(17)) and not first & second
    assert rest.names == out.names == ("label 0", "label 1", "label 2")


def test_the_seed_alone_draws_them_and_every_image_may_be_drawn():
    split = numbered(6, 6)
    drawn = [tuple(data.hold_out(split, 2, seed)[1].images[:, 0, 0, 0].tolist()) for seed in range(40)]
    assert drawn == [tuple(data.hold_out(split, 2, seed)[1].images[:, 0, 0, 0].tolist()) for seed in range(40)]
    assert len(set(drawn)) > 20
    assert {image for images in drawn for image in images} == set(range(12))
    assert any(images[:2] != tuple(image - 6 for image in images[2:]) for images in drawn), "labels drawn alike"


def test_some_images_have_to_be_left():
    with pytest.raises(data.DataError, match=r"label 'label 1' has 2 training images, 2 of them .* \(held_out\)"):
        data.hold_out(numbered(3, 2), 2, seed=1)


def test_held_out_images_take_the_place_of_the_test_images(tiny):
    whole, part = stages.splits(tiny), stages.splits(held_out(tiny, 3))
    assert (len(part["train"]), len(part["test"])) == (5 * 17, 5 * 3)
    train, out = pictures(part["train"]), pictures(part["test"])
    assert not train & out
    assert train | out == pictures(whole["train"])
    assert not out & pictures(whole["test"])
    again = stages.splits.__wrapped__(held_out(tiny, 3))
    assert all(torch.equal(again[name].images, part[name].images) for name in ("train", "test"))
    few = stages.splits(held_out(tiny, 3, labels=3, train_per_label=10))
    assert (len(few["train"]), len(few["test"])) == (3 * 7, 3 * 3)


def test_another_seed_holds_other_images_out(tiny):
    one, other = (stages.splits(held_out(with_seed(tiny, seed), 3))["test"] for seed in (1, 2))
    assert pictures(one) != pictures(other)


def test_test_images_have_no_say(tiny, monkeypatch):
    """The same images, network and choice where every test image is another one."""
    judged = choice.runs(tiny)["short"][0]
    before, split = stages.network(judged)[1], stages.splits(judged)
    read = data.read

    def without_test_images(folder) -> dict[str, data.Split]:
        found = read(folder)
        test = found["test"]
        return found | {"test": data.Split(255 - test.images.clone(), test.labels.flip(0), test.names)}

    monkeypatch.setattr(data, "read", without_test_images)
    stages.splits.cache_clear()
    again = stages.splits(judged)
    assert all(torch.equal(again[name].images, split[name].images) for name in split)
    model = stages.networks.build(judged.profile.network, 5, 32, 1)
    with torch.random.fork_rng():
        curves = training.fit(model, again["train"], again["test"], judged.profile.training, seed=1)
    pd.testing.assert_frame_equal(curves.drop(columns="seconds"), before.drop(columns="seconds"), check_exact=True)


# Of the laptop profile, and of ten labels in it, as they were before images could be held out.
KEYS = {
    profiles.Part(): ["train-99e223b3bcd3", "heads-586d1c7473d1", "measure-4a8d77b7acf8", "measure-7ed2841d24d6"],
    profiles.Part(10, 1, 300): [
        *("train-6b15d17210dd", "heads-402824fba24b"),
        *("measure-ac961091c9c4", "measure-823188a81427"),
    ],
}


@pytest.mark.parametrize("part", KEYS, ids=["all", "part"])
def test_keys_of_stages_in_the_store_stay(part, home, monkeypatch):
    monkeypatch.setattr(stages, "_checksums", lambda folder: {"images": "0"})
    monkeypatch.setattr(stages, "data_folder", lambda run: home)
    laptop = stages.of("laptop")

    def names(of: profiles.Part) -> list[str]:
        stages.configs.cache_clear()
        profile = dataclasses.replace(laptop.profile, part=of)
        return [folder.name for folder in stages.folders(dataclasses.replace(laptop, profile=profile)).values()]

    assert names(part) == KEYS[part]
    one, two = (names(dataclasses.replace(part, held_out=number)) for number in (1, 2))
    assert not set(one) & set(KEYS[part]) and not set(one) & set(two)


def test_runs_of_the_recipes(tiny):
    found = choice.runs(tiny)
    assert list(found) == ["own", "short"]
    assert found["own"][1] is tiny
    for name, (judged, whole) in found.items():
        recipe = dict(tiny.profile.choice.recipes).get(name, tiny.profile.training)
        assert judged.profile.training == whole.profile.training == recipe
        assert (judged.profile.part.held_out, whole.profile.part.held_out) == (4, 0)
        assert judged.profile.seed == whole.profile.seed == tiny.profile.seed
    assert len({stages.folders(one)["train"] for pair in found.values() for one in pair}) == 4
    assert choice.networks(tiny) == [one for pair in found.values() for one in pair]
    assert set(choice.networks(tiny)) <= set(registry.networks(tiny))
    assert choice.provenance(tiny)["choice"]["networks"] == len(set(choice.networks(tiny)))


def test_what_nobody_looks_at_costs_little(tiny):
    (_, short) = choice.runs(tiny)["short"]
    assert [(point.name, short.profile.heads.epochs) for point in stages.points(short)] == [("layer13_flat", 1)]


def test_a_profile_without_the_group(tiny):
    without = dataclasses.replace(tiny, profile=dataclasses.replace(tiny.profile, choice=None))
    assert choice.networks(without) == []
    assert not [one for one in registry.networks(without) if one.profile.part.held_out]
    with pytest.raises(profiles.ProfileError, match="profile tiny has no group choice; copy it from one of"):
        choice.table(without)


def test_the_table_of_the_tiny_run(tiny):
    table = choice.table(tiny).set_index("recipe")
    assert table.index.tolist() == ["own", "short"]
    assert table["epochs"].tolist() == [2, 1]
    assert set(table["images"]) == {20} and set(table["test_images"]) == {50}
    for name, (judged, whole) in choice.runs(tiny).items():
        for column, one in (("accuracy", judged), ("test_accuracy", whole)):
            model, split = stages.network(one)[0], stages.splits(one)["test"]
            correct = round(training.evaluate(model, split)["accuracy"] * len(split))
            expected = [float(value) for value in statistics.proportion_interval(correct, len(split))]
            assert table.loc[name, [column, f"{column}_low", f"{column}_high"]].tolist() == pytest.approx(expected)
    curves = stages.network(tiny)[1]
    assert table.loc["own", "seconds"] == pytest.approx(curves[curves["split"] == "test"]["seconds"].sum())
    assert store.is_complete(stages.folders(choice.runs(tiny)["short"][0])["train"])


@pytest.mark.parametrize(
    ("judged", "chosen"), [((0.2, 0.3), [0, 1]), ((0.3, 0.2), [1, 0]), ((0.3, 0.3), [1, 0])], ids=str
)
def test_held_out_images_choose_and_a_tie_is_the_own_recipe(tiny, monkeypatch, judged, chosen):
    """Test accuracies the other way round, and a better epoch before the last, change nothing."""

    def curves(of: stages.Run) -> pd.DataFrame:
        own = of.profile.training == tiny.profile.training
        last = judged[0 if own else 1] if of.profile.part.held_out else 0.5 - judged[0 if own else 1]
        rows = [{"epoch": 1, "split": "test", "accuracy": 1.0}, {"epoch": 2, "split": "test", "accuracy": last}]
        return pd.DataFrame(rows).assign(seconds=1.5)

    monkeypatch.setattr(stages, "curves", curves)
    table = choice.table(tiny)
    assert table["chosen"].tolist() == chosen
    np.testing.assert_allclose(table["accuracy"], judged)
    np.testing.assert_allclose(table["seconds"], 3)
