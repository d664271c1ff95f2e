"""Sweeps: the same results as one item after the other, nothing lost when an item fails, nothing done twice."""

import dataclasses
import os

import pytest

from singlefilter import profiles, progress, stages, store, sweeps, training
from singlefilter.run import main


@pytest.fixture
def profile(home):
    content = {
        "name": "tiny",
        "purpose": "a sweep of the smallest networks",
        "minutes": 1,
        "data": {"name": "glyphs", "labels": 3, "train_per_label": 10, "test_per_label": 5},
        "network": {"width": 2},
        "training": {"epochs": 1, "batch": 10, "learning_rate": 0.05, "flip": False},
        "heads": {"epochs": 1, "batch": 10, "flip": False, "cuts": [13]},
    }
    return profiles.from_mapping(content, "test")


def test_variations_are_all_combinations_by_name(profile):
    made = sweeps.variations(profile, {"network.width": [2, 4], "seed": [1, 2]})
    assert [one.name for one in made] == [f"tiny-width{width}-seed{seed}" for width in (2, 4) for seed in (1, 2)]
    assert [(one.network.width, one.seed) for one in made] == [(2, 1), (2, 2), (4, 1), (4, 2)]
    assert {dataclasses.replace(one, name="", seed=1, network=profile.network) for one in made} == {
        dataclasses.replace(profile, name="")
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"network.widht": [2]}, "unknown key network.widht, did you mean width"),
        ({"seed": []}, "no values given for seed"),
        ({"data.labels": [2]}, "data.labels: 2 given, at least 3"),
        ({"data.labels": [3.5]}, "data.labels has to be int or nothing, not 3.5"),
    ],
)
def test_unfit_variations(profile, values, message):
    with pytest.raises(profiles.ProfileError, match=message):
        sweeps.variations(profile, values)


def test_in_parallel_as_one_after_the_other(profile, home, tmp_path, monkeypatch):
    runs = [stages.Run(one) for one in sweeps.variations(profile, {"seed": [1, 2, 3]})]
    sweeps.complete(runs, jobs=2)
    together = [{name: path.name for name, path in stages.folders(run).items()} for run in runs]
    files = [store.manifest(folder)["files"] for run in runs for folder in stages.folders(run).values()]
    monkeypatch.setenv("SINGLEFILTER_HOME", str(tmp_path / "other"))
    stages._configs.cache_clear()
    stages.splits.cache_clear()
    for run in runs:
        stages.complete(run)
    assert [{name: path.name for name, path in stages.folders(run).items()} for run in runs] == together
    alone = [store.manifest(folder)["files"] for run in runs for folder in stages.folders(run).values()]
    weights = [{name: entry for name, entry in item.items() if name != "curves.csv"} for item in files]
    assert weights == [{name: entry for name, entry in item.items() if name != "curves.csv"} for item in alone]


def test_done_items_are_not_done_again(profile, monkeypatch):
    runs = [stages.Run(one) for one in sweeps.variations(profile, {"seed": [1, 2]})]
    sweeps.complete(runs, jobs=1)

    def again(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(training, "fit", again)
    sweeps.complete(runs, jobs=1)


def test_a_failing_item_does_not_lose_the_others(profile):
    broken = dataclasses.replace(
        profile, name="broken", training=dataclasses.replace(profile.training, learning_rate=1e30)
    )
    runs = [stages.Run(one) for one in (broken, profile)]
    with pytest.raises(sweeps.Failed, match=r"1 of 2 items failed, the others are done:\nbroken: Diverged: "):
        sweeps.complete(runs, jobs=2)
    assert store.is_complete(stages.folders(runs[1])["measure-test"])
    assert not store.is_complete(stages.folders(runs[0])["train"])


def test_more_jobs_than_cores_are_capped_and_it_is_said(monkeypatch, caplog):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert sweeps._jobs(5, items=10) == 2
    assert "5 asked for, there are 2 cores" in caplog.text
    assert (sweeps._jobs(None, items=10), sweeps._jobs(None, items=1), sweeps._jobs(1, items=10)) == (2, 1, 1)


def test_wrong_use(profile):
    with pytest.raises(ValueError, match="at least one item"):
        sweeps.complete([])
    with pytest.raises(ValueError, match="jobs: at least 1 is needed, 0 given"):
        sweeps.complete([stages.Run(profile)], jobs=0)


def test_command_line(home, capsys):
    assert main(["sweep", "quick", "--jobs", "0"]) == 2
    assert "--jobs: at least 1" in capsys.readouterr().err
    assert main(["sweep", "quikc"]) == 2
    assert "no profile named 'quikc'" in capsys.readouterr().err


def test_items_are_silent(monkeypatch, capsys):
    monkeypatch.setenv(progress.UNWATCHED, progress.SILENT)
    assert list(progress.bar(range(3), "training", "epoch", total=3)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
