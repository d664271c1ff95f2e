"""Processes end with the one they work for, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from singlefilter import store

PROGRAM = """
import os, joblib
from singlefilter import lifelines, store

def endless(number):
    open(f"{number}.pid", "w").write(str(os.getpid()))
    while True:
        pass

with store.folder_while_alive(store.runs_folder()):
    lifelines.parallel(2)(joblib.delayed(endless)(number) for number in range(2))
"""


def started(program, home):
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.Popen([sys.executable, "-c", program], cwd=home, env=os.environ | {"PYTHONPATH": path})


def test_workers_end_with_us_and_remove_the_folder_of_the_sweep(home):
    with started(PROGRAM, home) as ours:
        while not all(one.exists() and one.read_text(encoding="utf-8") for one in (home / "0.pid", home / "1.pid")):
            assert ours.poll() is None
            time.sleep(0.05)
        theirs = [psutil.Process(int((home / f"{number}.pid").read_text(encoding="utf-8"))) for number in range(2)]
        assert len(list(home.glob("runs/.sweeps/sweep-*"))) == 1
        ours.send_signal(signal.SIGKILL)
        begun = time.perf_counter()
        while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in theirs):
            assert time.perf_counter() - begun < 20
            time.sleep(0.05)
    assert list(home.glob("runs/.sweeps/sweep-*")) == []


def test_who_has_lost_its_parent_already_ends_at_once(home):
    with started("from singlefilter import lifelines; lifelines.end_with(1 << 22); input()", home) as orphan:
        assert orphan.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize(("days", "content", "left"), [(2, "3", False), (0, "3", True), (2, "notes.txt", True)])
def test_what_older_versions_left_is_removed_when_it_is_old_and_theirs(home, days, content, left):
    old = home / "runs" / "sweep-abc"
    old.mkdir(parents=True)
    (old / content).touch()
    then = time.time() - days * 24 * 3600
    os.utime(old, (then, then))
    with store.folder_while_alive(store.runs_folder()) as own:
        assert own.is_dir()
    assert old.exists() == left
