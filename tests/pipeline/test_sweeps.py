"""Sweeps: the same results as one item after the other, nothing lost when an item fails, nothing done twice."""

import contextlib
import dataclasses
import os
import re
import shutil
import signal
import socket
import time
import types
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest
from tests.conftest import forget_caches

from singlefilter import profiles, progress, store
from singlefilter.figures.registry import networks
from singlefilter.networks import training
from singlefilter.pipeline import pools, stages, sweeps, variations, workers
from singlefilter.pipeline.tasks import Task
from singlefilter.run import main
from singlefilter.studies.growth import series
from singlefilter.studies.pruning import convolution_study, designs, head_study, network_study


class Deadly(stages.Run):
    """An item whose process is killed at its beginning, as often as there are files in `data_dir`."""

    def __hash__(self):
        if os.environ.get(progress.UNWATCHED) == progress.SILENT:  # in the midst of an item
            for token in Path(self.data_dir).iterdir():
                token.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__hash__()


def deadly(profile, folder, deaths):
    folder.mkdir()
    for number in range(deaths):
        (folder / str(number)).touch()
    return Deadly(profile, folder)


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
    made = variations.variations(profile, {"network.width": [2, 4], "seed": [1, 2]})
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
        variations.variations(profile, values)


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


def test_items_are_silent(monkeypatch, capsys):
    monkeypatch.setenv(progress.UNWATCHED, progress.SILENT)
    assert list(progress.bar(range(3), "training", "epoch", total=3)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def weights(runs):
    """Checksums of what was trained and measured for each run, curves aside: they hold seconds."""
    manifests = [store.manifest(folder) for run in runs for folder in stages.folders(run).values()]
    return [{name: entry for name, entry in one["files"].items() if name != "curves.csv"} for one in manifests]


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
    assert list(store.runs_folder().glob("sweep-*")) == []


def test_what_is_done_starts_no_process(profile, monkeypatch):
    runs = [stages.Run(one) for one in variations.variations(profile, {"seed": [1, 2]})]
    sweeps.complete(runs, jobs=1, upto="train")

    def parallel(*_, **__):
        raise AssertionError("started")

    monkeypatch.setattr(pools, "_parallel", parallel)
    done = sweeps.complete(runs, jobs=2, upto="train")
    assert (done.found, done.alone) == (2, 0)
    assert str(done) == "2 items, all of them in the store already"
    with pytest.raises(AssertionError, match="started"):
        sweeps.complete(runs, jobs=2)


def test_an_item_that_kills_its_process_is_named_in_the_end(profile, tmp_path, caplog):
    runs = dict(enumerate(map(stages.Run, variations.variations(profile, {"seed": [1, 2, 3]}))))
    place, pools_made = workers.Place({}, str(tmp_path), 1, workers.clock()), []

    def parallel(work):
        """A pool in which item 1 kills its process, and with it the pool, when item 0 is under way, too."""
        numbers = [arguments[0] for _, arguments, _ in work]
        pools_made.append(numbers)
        for number in numbers:
            tries = workers.tries_of(place, number)
            if number == 1 and tries < sweeps.TRIES:
                for under_way in {0, 1} & set(numbers):
                    workers.ledger_of(place, under_way).write_text(str(workers.tries_of(place, under_way) + 1))
                raise BrokenExecutor
            if number or len(numbers) == 1:
                yield workers.item(number, runs[number], "data", place)

    outcomes = {outcome.number: outcome.failure for outcome in sweeps._outcomes(runs, "data", place, parallel)}
    assert pools_made == [[0, 1, 2], [2], [0], [1], [1], [1]]
    assert outcomes.pop(1) == "tiny-seed2: BrokenExecutor: its process died 3 times (killed, or out of memory?)"
    assert outcomes == {0: None, 2: None}
    assert "run again later: tiny-seed1, tiny-seed2" in caplog.text


def test_processes_that_die_before_any_item_end_the_sweep(profile, tmp_path):
    def parallel(work):
        raise BrokenExecutor("out of memory")
        yield

    place = workers.Place({}, str(tmp_path), 1, workers.clock())
    outcomes = list(sweeps._outcomes({4: stages.Run(profile)}, "measure", place, parallel))
    assert [(outcome.number, outcome.failure) for outcome in outcomes] == [
        (4, "tiny: processes die before it: out of memory")
    ]


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
    assert "(3 were in the store already)" in str(sweeps.Done(40, 3, 738, 1434))


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

    begun_from, said, resume = [], [], training._resume

    def resumed(*arguments):
        begun_from.append(resume(*arguments))
        return begun_from[-1]

    for name in ("whole", "parts"):  # what is pruned needs the network, which is there
        shutil.copytree(tiny_home / "runs", tmp_path / name / "runs")
    sweeps.complete([at("whole")], jobs=1)
    whole, item = files(at("whole")), at("parts")
    times = iter([0.0, 1e12])  # the deadline has passed when the second epoch wants to begin
    clock = types.SimpleNamespace(monotonic=lambda: next(times), perf_counter=time.perf_counter)
    with monkeypatch.context() as patch, pytest.raises(training.Paused, match="^sweep paused: 0 of 1 items"):
        patch.setattr(training, "time", clock)
        patch.setattr(training.Paused, "__init__", lambda self, message: said.append(message))
        sweeps.complete([item.until(time.monotonic() + 1000)], jobs=1)
    assert said[0] == f"{title} paused after epoch 1 of 2; the same command goes on from here"
    assert list(store.runs_folder().glob("*/checkpoint.pt")) == [
        folder(item).with_name(folder(item).name + ".partial") / "checkpoint.pt"
    ]
    monkeypatch.setattr(training, "_resume", resumed)
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


def test_a_deadline_is_the_same_moment_where_clocks_begin_elsewhere(profile, tmp_path, monkeypatch):
    """Set at 50 by a clock that the wall clock, 1,000 ahead, shows as 1,050; another machine was just started."""
    place, deadlines = workers.Place({}, str(tmp_path), 1, clock=1000.0), []
    monkeypatch.setattr(stages, "complete", lambda run, _: deadlines.append(run.deadline))
    item, outcomes = stages.Run(profile, deadline=50.0), []
    for wall, monotonic in ((1040.0, 7.0), (1051.0, 18.0)):
        here = types.SimpleNamespace(time=lambda wall=wall: wall, monotonic=lambda monotonic=monotonic: monotonic)
        monkeypatch.setattr(sweeps, "time", here)
        outcomes.append(workers.item(0, item, "train", place))
    assert deadlines == [17.0]
    assert [(outcome.paused, outcome.failure) for outcome in outcomes] == [(False, None), (True, None)]


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
    items = len(set(networks(stages.of(str(tiny_home / "tiny.yaml")))))
    said = f"sweep paused: 0 of {items} items are done; the same command goes on from here"
    assert capsys.readouterr().out.splitlines()[-1] == said


def test_what_is_pruned_waits_for_all_networks(home, tiny_home, monkeypatch):
    asked = []

    def pause(items, *_, **__):
        asked.append(items)
        raise training.Paused("sweep paused")

    monkeypatch.setattr(sweeps, "complete", pause)
    assert main(["sweep", str(tiny_home / "tiny.yaml"), "--minutes", "60"]) == 75
    assert [isinstance(item, Task) for item in asked[0]] == [False] * len(asked[0])
    assert len(asked) == 1
    left = {item.deadline - time.monotonic() for item in asked[0]}
    assert 3000 < min(left) <= max(left) <= 3600


@pytest.mark.slow
def test_a_process_that_dies_costs_nothing_here_or_on_a_cluster(profile, home, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # where the processes find this module
    monkeypatch.setattr(os, "cpu_count", lambda: 2)  # so that items have one thread everywhere
    broken = dataclasses.replace(
        profile, name="broken", training=dataclasses.replace(profile.training, learning_rate=1e30)
    )
    runs = [stages.Run(one) for one in variations.variations(profile, {"seed": [1, 2]})]
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    for wait in ("SECONDS_TO_CONNECT", "SECONDS_FOR_WORKERS"):
        monkeypatch.setattr(pools, wait, 120)  # this machine may be busy
    cluster = distributed.LocalCluster(**options)
    try:
        items = [deadly(runs[0].profile, tmp_path / "cluster", 1), runs[1], stages.Run(broken)]
        with pytest.raises(sweeps.Failed, match="1 of 3 items failed, the others are done:\nbroken: Diverged: "):
            sweeps.complete(items, scheduler=cluster.scheduler_address)
    finally:
        with contextlib.suppress(TimeoutError):  # a busy machine ends processes late, which is not what is tested
            cluster.close(timeout=120)
    on_a_cluster = weights(runs)
    monkeypatch.setenv("SINGLEFILTER_HOME", str(tmp_path / "other"))
    stages.configs.cache_clear()
    done = sweeps.complete([deadly(runs[0].profile, tmp_path / "here", 1), runs[1]], jobs=2)
    assert weights(runs) == on_a_cluster
    assert (done.items, done.found) == (2, 0)
    assert list(tmp_path.glob("cluster/*")) + list(tmp_path.glob("here/*")) == [], "no process was killed"


@pytest.mark.parametrize("listening", [True, False])
def test_no_scheduler_is_said_within_ten_seconds(profile, listening):
    pytest.importorskip("distributed", reason="Dask is not installed")
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        if listening:
            mute.listen()
        address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        begun = time.perf_counter()
        with pytest.raises(
            ConnectionError, match=f"no Dask scheduler answers at {re.escape(address)} .*dask scheduler"
        ):
            sweeps.complete([stages.Run(profile)], scheduler=address)
    assert time.perf_counter() - begun < 10


def test_an_address_that_is_none(profile):
    pytest.importorskip("distributed", reason="Dask is not installed")
    with pytest.raises(
        ConnectionError, match="no Dask scheduler answers at http://nowhere .*such as tcp://host:8786"
    ):
        sweeps.complete([stages.Run(profile)], scheduler="http://nowhere")


def test_a_scheduler_without_workers(profile):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    options = {"n_workers": 0, "processes": False, "dashboard_address": None, "protocol": "tcp"}
    with (
        distributed.LocalCluster(**options) as empty,
        pytest.raises(ConnectionError, match="has no workers; start some: dask worker tcp://"),
    ):
        sweeps.complete([stages.Run(profile)], scheduler=empty.scheduler_address)


def test_a_cluster_of_one_worker_does_the_items(profile, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setattr(pools, "SECONDS_TO_CONNECT", 120)  # this machine may be busy
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False}
    with distributed.LocalCluster(**options, dashboard_address=None, protocol="tcp") as one:
        with pytest.raises(training.Paused, match="0 of 1 items are done"):
            sweeps.complete([stages.Run(profile, deadline=0.0)], upto="data", scheduler=one.scheduler_address)
        done = sweeps.complete([stages.Run(profile)], upto="data", scheduler=one.scheduler_address)
    assert (done.items, done.found) == (1, 0)


def test_without_dask_it_is_said_how_to_install_it(profile, monkeypatch, capsys):
    monkeypatch.setattr(pools._joblib_and_dask(), "distributed", None)
    assert main(["sweep", "quick", "--dask", "tcp://127.0.0.1:1"]) == 1
    assert "pip install 'singlefilter[dask]'" in capsys.readouterr().err


def test_a_worker_that_does_not_see_the_store(profile, tmp_path):
    place = workers.Place({}, str(tmp_path / "elsewhere"), 1, workers.clock())
    assert (
        "workers need the project's folder under the same path"
        in workers.item(0, stages.Run(profile), "data", place).failure
    )
