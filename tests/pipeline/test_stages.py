"""The tiny run through every stage: done once, found again, forgotten, refused before any work, and accounted for."""

import dataclasses
import shutil

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from singlefilter import data, networks, profiles, provenance, store
from singlefilter.method import heads
from singlefilter.networks import epochs, training
from singlefilter.pipeline import stages


def change(run: stages.Run, **groups: dict) -> stages.Run:
    """The run with other values in some groups of its profile."""
    profile = run.profile
    changed = {name: dataclasses.replace(getattr(profile, name), **keys) for name, keys in groups.items()}
    return stages.Run(dataclasses.replace(profile, **changed), run.data_dir, run.deadline)


def forbid(monkeypatch) -> None:
    for module in (training, heads, stages.fields):
        for name in ("fit", "measure"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("done again"))


def test_what_is_there_is_not_done_again(tiny, monkeypatch):
    forbid(monkeypatch)
    stages.complete(tiny)
    assert all(store.is_complete(folder) for folder in stages.folders(tiny).values())


def test_what_the_stages_keep(tiny):
    model, curves = stages.network(tiny)
    assert not any(module.training for module in model.modules())
    assert curves.groupby("split").size().to_dict() == {"train": 2, "test": 2}
    points = stages.points(tiny)
    assert [point.name for point in points] == [
        f"layer{m}_{kind}" for m in range(1, 14) for kind in ("flat", "pooled")
    ]
    weights, head_curves = stages.heads(tiny)
    assert set(head_curves["head"]) == set(weights) == {point.name for point in points}
    for split, images in (("train", 100), ("test", 50)):
        measured = stages.measurement(tiny, split)
        for point in points:
            shape = (5, point.cut.filters, point.positions)
            assert weights[point.name].shape == measured.class_means[point.name].shape == shape
            assert measured.correct[point.name].shape == measured.dprime[point.name].shape == (images,)
            assert measured.correct[point.name].dtype == torch.bool


def test_trained_outside_of_the_store_it_is_the_same(tiny):
    """The network bit for bit, and every number of its curves as it was before it went into a file."""
    with torch.random.fork_rng():
        split = stages.splits(tiny)
        model = networks.build(tiny.profile.network, 5, 32, tiny.profile.seed)
        curves = training.fit(model, split["train"], split["test"], tiny.profile.training, seed=tiny.profile.seed)
    kept, stored = stages.network(tiny)
    pd.testing.assert_frame_equal(stored.drop(columns="seconds"), curves.drop(columns="seconds"), check_exact=True)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, kept.state_dict()[name]), name


def test_no_checkpoint_stays(tiny, tiny_home):
    files = {path.name for path in (tiny_home / "runs").rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert not [name for name in files if "checkpoint" in name]
    assert {"network.safetensors", "heads.safetensors", "measurement.safetensors", "curves.csv"} <= files


def test_what_each_stage_depends_on(tiny):
    before = stages.folders(tiny)
    assert list(before) == ["train", "heads", "measure-train", "measure-test"]

    def kept(run: stages.Run) -> set[str]:
        after = stages.folders(run)
        return {name for name in before if after[name] == before[name]}

    everything = set(before)
    assert kept(change(tiny, analysis={"threshold": 0.5, "splits": ("train",)})) == everything
    assert kept(dataclasses.replace(tiny, profile=dataclasses.replace(tiny.profile, purpose="another"))) == everything
    assert kept(dataclasses.replace(tiny, deadline=3.0)) == everything
    assert kept(change(tiny, heads={"epochs": 3})) == {"train"}
    assert kept(change(tiny, training={"epochs": 3})) == set()
    assert kept(change(tiny, network={"width": 3})) == set()
    assert kept(stages.Run(dataclasses.replace(tiny.profile, seed=2))) == set()


def test_accuracy_is_measured_where_only_the_training_split_is_analysed(tiny, monkeypatch):
    forbid(monkeypatch)
    only_train = change(tiny, analysis={"splits": ("train",)})
    stages.complete(only_train)
    correct = stages.measurement(only_train, "test").correct
    assert torch.equal(correct["layer13_flat"], stages.measurement(tiny, "test").correct["layer13_flat"])


def test_forget(tiny_home, home, monkeypatch):
    profile = profiles.load(tiny_home / "tiny.yaml")
    quick = dataclasses.replace(profile, training=dataclasses.replace(profile.training, epochs=1))
    run = stages.Run(dataclasses.replace(quick, heads=dataclasses.replace(quick.heads, epochs=1, cuts=(13,))))
    stages.complete(run, "heads")
    assert stages.forget(run) == ["train", "heads"]
    assert not any(folder.exists() for folder in stages.folders(run).values())
    assert stages.forget(run) == []
    assert store.is_complete(data.stage(run.profile.data, run.profile.seed))


def test_no_such_stage(tiny):
    with pytest.raises(ValueError, match="no stage named 'mesure': there are data, train, heads, measure"):
        stages.complete(tiny, "mesure")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"heads": {"cuts": (2, 14)}}, r"profile tiny: heads.cuts: the network has no layer \[14\]; it has 1 to 13"),
        ({"data": {"image_size": 16}}, "profile tiny: VGG .* needs 32 pixels or more, 16 given"),
        ({"network": {"input_size": 16}}, "profile tiny: VGG .* 16 given"),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_any_work(tiny_home, home, groups, message):
    run = stages.Run(profiles.load(tiny_home / "tiny.yaml"))
    with pytest.raises(profiles.ProfileError, match=message):
        change(run, **groups)
    assert not (home / "runs").exists()


def test_a_diverged_training_leaves_no_stage(tiny_home, home):
    run = change(stages.Run(profiles.load(tiny_home / "tiny.yaml")), training={"learning_rate": 1e30})
    with pytest.raises(epochs.Diverged, match="Lower learning_rate"):
        stages.complete(run)
    assert not any(store.is_complete(folder) for folder in stages.folders(run).values())


def test_ready_weights_are_fetched_for_training_alone(tiny, monkeypatch):
    """Cut points and the trained network need no download."""
    import torchvision

    def build(weights=None):
        assert weights is None, "downloaded"
        return torchvision.models.EfficientNet(*settings)

    settings = torchvision.models.efficientnet._efficientnet_conf("efficientnet_b0", width_mult=1.0, depth_mult=1.0)
    settings = (settings[0], 0.2)
    monkeypatch.setattr(torchvision.models, "efficientnet_b0", build)
    run = change(tiny, network={"name": "efficientnet_b0", "weights": "imagenet"})
    assert len(stages.points(run)) == 18


def test_weights_from_a_file_count_by_its_content(tiny, tmp_path):
    named = [
        change(tiny, network={"weights": str(tmp_path / name)}) for name in ("one.safetensors", "moved.safetensors")
    ]
    with pytest.raises(OSError, match="network.weights: there is no file .*one.safetensors"):
        stages.folders(named[0])
    model = networks.build(tiny.profile.network, 5, 32, seed=3)
    save_file(model.state_dict(), tmp_path / "one.safetensors")
    before = stages.folders(named[0])
    assert not set(before.values()) & set(stages.folders(tiny).values())
    shutil.copy(tmp_path / "one.safetensors", tmp_path / "moved.safetensors")
    assert stages.folders(named[1]) == before
    save_file(networks.build(tiny.profile.network, 5, 32, seed=4).state_dict(), tmp_path / "moved.safetensors")
    stages.configs.cache_clear()
    assert stages.folders(named[1])["train"] != before["train"]
    untrained = change(named[0], training={"epochs": 0})
    stages.complete(untrained, "train")
    for name, tensor in stages.network(untrained)[0].state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_efficientnet_goes_through_every_stage(tiny):
    few = {"labels": 3, "train_per_label": 8, "test_per_label": 4}
    once = {"epochs": 1, "batch": 12}
    run = change(tiny, network={"name": "efficientnet_b0", "input_size": 64}, data=few, training=once, heads=once)
    stages.complete(run)
    assert [point.cut.size[0] for point in stages.flat_points(run)] == [32, 32, 16, 8, 4, 4, 2, 2, 2]
    measured = stages.measurement(run)
    for point in stages.points(run):
        assert measured.class_means[point.name].shape == (3, point.cut.filters, point.positions)


def test_maps_of_an_untrained_efficientnet_do_not_vanish(tiny):
    few = {"labels": 3, "train_per_label": 20, "test_per_label": 4}
    run = change(tiny, network={"name": "efficientnet_b0", "input_size": 64}, data=few, training={"epochs": 0})
    model, cuts = stages.network(run)[0], [point.cut.module for point in stages.flat_points(run)]
    kinds = {"settled": model, "as built": networks.build(run.profile.network, 3, 32, 1)}
    spread = {}
    for kind, network in kinds.items():
        with networks.capture(network, cuts) as maps:
            network(data.to_input(stages.splits(run)["test"].images))
            spread[kind] = [maps[cut].std().item() for cut in cuts]
    assert min(spread["settled"]) > 0.01
    assert spread["as built"][-1] < 1e-6


def test_provenance(tiny):
    content = stages.provenance(tiny)
    assert content["profile"] == tiny.profile
    assert content["seed"] == 1
    assert content["commit"] == provenance.commit()
    assert {"python", "torch", "numpy"} <= set(content["versions"])
    assert {"processor", "cores", "memory_gib", "gpu"} <= set(content["machine"])
    assert content["computing"] == provenance.computing()
    assert content["data"]["title"] == "embedded glyphs"
    images = data.stage(tiny.profile.data, 1)
    assert set(content["data"]["sha256"]) == {
        "train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy", "names.txt"
    }  # fmt: skip
    for name, checksum in content["data"]["sha256"].items():
        assert store.file_checksum(images / name) == checksum
    assert set(content["stages"]) == {"data", "train", "heads", "measure-train", "measure-test"}
    for stage in content["stages"].values():
        assert set(stage) == {"seconds", "commit", "machine", "versions", "computing"}
        assert stage["seconds"] > 0


def test_images_that_were_removed_are_made_again(home):
    content = {"name": "glyphs", "labels": 3, "train_per_label": 2, "test_per_label": 2}
    run = stages.Run(profiles.from_mapping({"name": "p", "purpose": "", "minutes": 1, "data": content}, "test"))
    folder = stages.data_folder(run)
    assert stages.data_folder(run) == folder
    shutil.rmtree(folder)
    assert stages.data_folder(run) == folder
    assert stages.all_labels(run) == ("O", "0", "Q")
