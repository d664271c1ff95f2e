"""Sweeps whose time is up: what is paused comes to the same bytes, and is said."""

import dataclasses
import shutil
import time
import types

import pytest
from tests.conftest import forget_caches

from singlefilter import profiles, store
from singlefilter.figures.registry import trained
from singlefilter.networks import checkpoints, epochs
from singlefilter.pipeline import stages, sweeps
from singlefilter.pipeline.tasks import Task
from singlefilter.run import main
from singlefilter.studies.growth import series
from singlefilter.studies.pruning import convolution_study, designs, head_study, network_study


def two_epochs(tiny_home):
    """The tiny profile, every recipe that its items of a sweep are trained by two epochs long."""
    profile = profiles.load(tiny_home / "tiny.yaml")
    longer = {name: dataclasses.replace(getattr(profile.by_labels, name), epochs=2) for name in ("training", "heads")}
    fractions = dict.fromkeys(("head_fraction", "convolution_fraction", "network_fraction"), 1.0)
    return stages.Run(
        dataclasses.replace(
            profile,
            by_labels=dataclasses.replace(profile.by_labels, **longer),
            afcc=dataclasses.replace(profile.afcc, **fractions),
        )
    )


PAUSED_IN = {
    "training": lambda one: series.by_labels(one)[0].run,
    "retraining": lambda one: network_study.tasks(one)[designs.Design()],
    "retraining heads": head_study.task,
    "retraining last layers": lambda one: convolution_study.tasks(one)[0],
}


@pytest.mark.parametrize("title", PAUSED_IN)
def test_an_item_that_pauses_comes_to_the_same_bytes(title, tiny_home, tmp_path, monkeypatch):
    def at(name):
        monkeypatch.setenv("SINGLEFILTER_HOME", str(tmp_path / name))
        forget_caches()
        return PAUSED_IN[title](two_epochs(tiny_home))

    def folder(item):
        return item.folder() if isinstance(item, Task) else stages.folders(item)["train"]

    def files(item):
        done = [folder(item)] if isinstance(item, Task) else stages.folders(item).values()
        manifests = [store.manifest(one)["files"] for one in done]
        return [{name: entry for name, entry in one.items() if name != "curves.csv"} for one in manifests]

    begun_from, said, resume = [], [], checkpoints.resume

    def resumed(*arguments):
        begun_from.append(resume(*arguments))
        return begun_from[-1]

    for name in ("whole", "parts"):  # what is pruned needs the network, which is there
        shutil.copytree(tiny_home / "runs", tmp_path / name / "runs")
    sweeps.complete([at("whole")], jobs=1)
    whole, item = files(at("whole")), at("parts")
    times = iter([0.0, 1e12])  # the deadline has passed when the second epoch wants to begin
    clock = types.SimpleNamespace(monotonic=lambda: next(times), perf_counter=time.perf_counter)
    with monkeypatch.context() as patch, pytest.raises(epochs.Paused, match="^sweep paused: 0 of 1 items"):
        patch.setattr(epochs, "time", clock)
        patch.setattr(epochs.Paused, "__init__", lambda self, message: said.append(message))
        sweeps.complete([item.until(time.monotonic() + 1000)], jobs=1)
    assert said[0] == f"{title} paused after epoch 1 of 2; the same command goes on from here"
    assert list(store.runs_folder().glob("*/checkpoint.pt")) == [
        folder(item).with_name(folder(item).name + ".partial") / "checkpoint.pt"
    ]
    monkeypatch.setattr(checkpoints, "resume", resumed)
    done = sweeps.complete([item], jobs=1)
    assert (done.items, done.found, begun_from[0][1]) == (1, 0, 1)
    assert files(item) == whole
    assert list(store.runs_folder().glob("*/checkpoint.pt")) == []


def test_when_it_pauses_makes_no_other_item(tiny):
    task = head_study.task(tiny)
    for item in (tiny, task):
        later = item.until(5.0)
        assert (item.deadline, later.deadline) == (float("inf"), 5.0)
        assert len({item, later}) == 1
    assert stages.folders(tiny) == stages.folders(tiny.until(5.0))
    assert task.folder() == task.until(5.0).folder()


def test_a_failure_is_said_beside_what_is_paused(profile):
    broken = dataclasses.replace(
        profile, name="broken", training=dataclasses.replace(profile.training, learning_rate=1e30)
    )
    items = [stages.Run(broken), stages.Run(profile, deadline=0.0)]
    with pytest.raises(sweeps.Failed, match="1 of 2 items failed, 1 paused, .*:\nbroken: Diverged: "):
        sweeps.complete(items, jobs=1)


def test_minutes_of_a_sweep(home, tiny_home, capsys, monkeypatch):
    monkeypatch.setattr(stages, "complete", lambda *_: pytest.fail("an item began when time was up"))
    assert main(["sweep", str(tiny_home / "tiny.yaml"), "--minutes", "1e-9", "--jobs", "1"]) == 75
    items = len(set(trained(stages.of(str(tiny_home / "tiny.yaml")))))
    said = f"sweep paused: 0 of {items} items are done; the same command goes on from here"
    assert capsys.readouterr().out.splitlines()[-1] == said


def test_what_is_pruned_waits_for_all_networks(home, tiny_home, monkeypatch):
    asked = []

    def pause(items, *_, **__):
        asked.append(items)
        raise epochs.Paused("sweep paused")

    monkeypatch.setattr(sweeps, "complete", pause)
    assert main(["sweep", str(tiny_home / "tiny.yaml"), "--minutes", "60"]) == 75
    assert [isinstance(item, Task) for item in asked[0]] == [False] * len(asked[0])
    assert len(asked) == 1
    left = {item.deadline - time.monotonic() for item in asked[0]}
    assert 3000 < min(left) <= max(left) <= 3600
