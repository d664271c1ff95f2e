"""Sweeps: the same results as one item after the other, nothing lost when an item fails, nothing done twice."""

import dataclasses
import os
import types

import pytest

from singlefilter import lifelines, progress, store
from singlefilter.networks import training
from singlefilter.pipeline import stages, sweeps, variations, workers
from singlefilter.run import main


def test_in_parallel_as_one_after_the_other(profile, home, tmp_path, monkeypatch):
    runs = [stages.Run(one) for one in variations.variations(profile, {"seed": [1, 2, 3]})]
    sweeps.complete(runs, jobs=2)
    together = [{name: path.name for name, path in stages.folders(run).items()} for run in runs]
    files = [store.manifest(folder)["files"] for run in runs for folder in stages.folders(run).values()]
    monkeypatch.setenv("SINGLEFILTER_HOME", str(tmp_path / "other"))
    stages.configs.cache_clear()
    stages.splits.cache_clear()
    for run in runs:
        stages.complete(run)
    assert [{name: path.name for name, path in stages.folders(run).items()} for run in runs] == together
    alone = [store.manifest(folder)["files"] for run in runs for folder in stages.folders(run).values()]
    weights = [{name: entry for name, entry in item.items() if name != "curves.csv"} for item in files]
    assert weights == [{name: entry for name, entry in item.items() if name != "curves.csv"} for item in alone]


def test_done_items_are_not_done_again(profile, monkeypatch):
    runs = [stages.Run(one) for one in variations.variations(profile, {"seed": [1, 2]})]
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


def test_an_interrupted_sweep_repeats_one_item_at_most(profile, monkeypatch):
    runs = [stages.Run(one) for one in variations.variations(profile, {"seed": [1, 2, 3, 4]})]
    fit, begun = training.fit, []

    def counting(*arguments, **options):
        begun.append(options["seed"])
        if len(begun) == 3:
            raise KeyboardInterrupt
        return fit(*arguments, **options)

    monkeypatch.setattr(training, "fit", counting)
    with pytest.raises(KeyboardInterrupt):
        sweeps.complete(runs, jobs=1, upto="train")
    assert begun == [1, 2, 3]
    assert os.environ.get(progress.UNWATCHED) != progress.SILENT
    done = sweeps.complete(runs, jobs=1, upto="train")
    assert begun == [1, 2, 3, 3, 4]
    assert (done.items, done.found) == (4, 2)
    assert done.alone == pytest.approx(
        sum(store.manifest(stages.folders(run)["train"])["seconds"] for run in runs[2:]), abs=0.5
    )
    assert list(store.runs_folder().glob(".sweeps/*")) == []


def test_what_is_done_starts_no_process(profile, monkeypatch):
    runs = [stages.Run(one) for one in variations.variations(profile, {"seed": [1, 2]})]
    sweeps.complete(runs, jobs=1, upto="train")

    def parallel(*_, **__):
        raise AssertionError("started")

    monkeypatch.setattr(lifelines, "parallel", parallel)
    done = sweeps.complete(runs, jobs=2, upto="train")
    assert (done.found, done.alone) == (2, 0)
    assert str(done) == "2 items, all of them in the store already"
    with pytest.raises(AssertionError, match="started"):
        sweeps.complete(runs, jobs=2)


def test_the_most_work_comes_first_and_time_left_goes_by_it(profile, capsys, monkeypatch):
    small, large = variations.variations(profile, {"network.width": [4, 32]})
    assert sweeps._cost(large) > 2 * sweeps._cost(small)
    more = dataclasses.replace(small, data=dataclasses.replace(small.data, train_per_label=20))
    assert sweeps._cost(more) == 2 * sweeps._cost(small)
    clock = iter([0.0, 600.0, 660.0, 661.0])
    monkeypatch.setattr(sweeps, "time", types.SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    monkeypatch.setenv(progress.UNWATCHED, "yes")
    outcomes = (workers.Outcome(number) for number in range(3))
    assert len(list(sweeps._watched(outcomes, {0: 10.0, 1: 1.0, 2: 4.0}, items=5))) == 3
    assert capsys.readouterr().out.splitlines() == [
        "sweep: 2 of 5 items",
        "sweep: 3 of 5 items, about 5 minutes left",
        "sweep: 4 of 5 items, about 4 minutes left",
        "sweep: 5 of 5 items",
    ]
    assert [progress.time_left(s) for s in (4, 3 * 3600)] == ["about 4 seconds left", "about 3 hours left"]


def test_what_a_sweep_took():
    assert str(sweeps.Done(40, 0, 738, 1434)) == (
        "40 items done in 12.3 minutes; one after the other they would have taken 23.9"
    )
    assert str(sweeps.Done(4, 0, 60, 60, (1, 2))).endswith(
        "; threads of each: 1, 2 (another number gives other last digits)"
    )
    assert "(3 were in the store already)" in str(sweeps.Done(40, 3, 738, 1434))
    assert str(sweeps.Done(2, 2, 1, 0, (1, 2))) == (
        "2 items, all of them in the store already; threads of each: 1, 2 (another number gives other last digits)"
    )


def test_other_numbers_of_threads_are_said_those_of_an_earlier_call_too(profile, monkeypatch):
    """Jobs share the cores, so that one network computes with more threads than two beside each other."""
    runs = [stages.Run(one) for one in variations.variations(profile, {"seed": [1, 2]})]
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert sweeps.complete(runs[:1], jobs=1, upto="train").threads == (2,)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    done = sweeps.complete(runs, jobs=1, upto="train")
    assert done.threads == (1, 2) and "threads of each: 1, 2" in str(done)
    assert sweeps.complete(runs, jobs=1, upto="train").threads == (1, 2)
