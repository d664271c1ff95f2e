"""Where a sweep runs: processes and a Dask cluster come to the same results, and every failure to connect is said."""

import contextlib
import dataclasses
import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from singlefilter import progress, store
from singlefilter.networks import epochs
from singlefilter.pipeline import pools, stages, sweeps, variations
from singlefilter.run import main


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


def weights(runs):
    """Checksums of what was trained and measured for each run, curves aside: they hold seconds."""
    manifests = [store.manifest(folder) for run in runs for folder in stages.folders(run).values()]
    return [{name: entry for name, entry in one["files"].items() if name != "curves.csv"} for one in manifests]


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
        with pytest.raises(epochs.Paused, match="0 of 1 items are done"):
            sweeps.complete([stages.Run(profile, deadline=0.0)], upto="data", scheduler=one.scheduler_address)
        done = sweeps.complete([stages.Run(profile)], upto="data", scheduler=one.scheduler_address)
    assert (done.items, done.found) == (1, 0)


def test_without_dask_it_is_said_how_to_install_it(profile, monkeypatch, capsys):
    monkeypatch.setattr(pools._joblib_and_dask(), "distributed", None)
    assert main(["sweep", "quick", "--dask", "tcp://127.0.0.1:1"]) == 1
    assert "pip install 'singlefilter[dask]'" in capsys.readouterr().err
